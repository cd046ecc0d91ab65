import { copyText } from './clipboard.js';
import { button, closeByEscape, element, iconButton, sends } from './dom.js';
import { fileList } from './file-list.js';
import { Sections } from './sections.js';
import { gettext } from './words.js';

/** A message of the user: as it was written, with its files; it can be changed and sent again. */
export class UserMessage {
  node = element('article', { className: 'message message--user' });
  #moves;
  #parts = new Sections('said', ['files', 'text', 'tools']);

  constructor(moves) {
    this.#moves = moves;
    this.node.append(this.#parts.node);
  }

  /**
   * @param {object} message `content`; `label`: how it is shown, where that differs; `files`; `id` once it is stored
   * @param {object} options `canEdit`
   */
  show(message, { canEdit = false } = {}) {
    const { content, label = content, files, id } = message;
    this.#parts.show('files', files, () => fileList(files));
    this.#parts.show('text', label, () => element('div', { className: 'message__text', textContent: label, dir: 'auto' }));
    this.#parts.show('tools', [label, id, canEdit], () => this.#tools(message, label, canEdit));
  }

  #tools(message, label, canEdit) {
    const copy = iconButton('copy', gettext('Copy'), () => copyText(label, copy));
    const edit = canEdit ? iconButton('edit', gettext('Edit and send again'), () => this.#edit(message)) : null;
    if (edit) edit.dataset.edit = '';
    return element('div', { className: 'toolbar' }, edit, copy);
  }

  #edit(message) {
    const field = element('textarea', { value: message.content, rows: 2, className: 'said__field', dir: 'auto' });
    field.setAttribute('aria-label', gettext('Edit the message'));
    const close = () => {
      form.replaceWith(this.#parts.node);
      this.#parts.node.querySelector('button')?.focus();
    };
    const onsubmit = (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (!text) return;
      close();
      this.#moves.edit(message, text);
    };
    const submit = element('button', { type: 'submit', className: 'button button--primary button--small', textContent: gettext('Send') });
    const hint = element('p', { className: 'said__hint', textContent: gettext('What follows this message is replaced.') });
    const buttons = element('div', { className: 'said__buttons' }, button(gettext('Back'), close, 'button button--small'), submit);
    const form = element('form', { className: 'said__form', onsubmit }, field, hint, buttons);
    closeByEscape(form, close);
    form.addEventListener('keydown', (event) => sends(event) && onsubmit(event));
    this.#parts.node.replaceWith(form);
    field.focus();
  }
}
