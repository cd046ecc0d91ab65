import { button, element } from './dom.js';
import { gettext } from './words.js';

/**
 * Ask for a yes, or for a text.
 *
 * @param {object} question `title`, `text`, `yes`: what the button says; `value`: asks for a text that starts as this
 * @returns {Promise<string|boolean|null>} true or the text; null where it was left
 */
export function ask({ title, text, yes, value, maxLength, isDangerous = false }) {
  const asksText = value !== undefined;
  const field = asksText ? element('input', { type: 'text', value, maxLength, className: 'dialog__field', dir: 'auto', autocomplete: 'off' }) : null;
  field?.setAttribute('aria-label', title);
  const look = isDangerous ? 'button button--danger' : 'button button--primary';
  const submit = element('button', { type: 'submit', className: look, textContent: yes });
  const dialog = element('dialog', { className: 'dialog' });
  const form = element(
    'form',
    { method: 'dialog' },
    element('h2', { id: 'dialog-title', textContent: title }),
    text ? element('p', { textContent: text }) : null,
    field,
    element('div', { className: 'dialog__buttons' }, button(gettext('Back'), () => dialog.close(), 'button'), submit),
  );
  dialog.setAttribute('aria-labelledby', 'dialog-title');
  dialog.append(form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let answer = null;
    form.addEventListener('submit', () => (answer = asksText ? field.value.trim() : true));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(answer);
    });
    dialog.showModal();
    (field ?? submit).focus();
    field?.select();
  });
}
