import { button, closeByEscape, element } from './dom.js';
import { gettext } from './words.js';

// As many characters as the server keeps.
const LONGEST = 1000;

/**
 * Asks what was wrong with an answer; nobody has to say.
 *
 * @param {object} moves `send(comment)` resolves with whether it was kept; `close()`: nothing is to be said
 */
export function commentForm({ send, close }) {
  const field = element('input', { type: 'text', maxLength: LONGEST, autocomplete: 'off', dir: 'auto' });
  const label = element('label', {}, gettext('What was wrong? (optional)'), field);
  const submit = element('button', { type: 'submit', className: 'chip chip--primary', textContent: gettext('Send') });
  const buttons = element('div', { className: 'message__actions' }, submit, button(gettext('Close'), close, 'chip chip--quiet'));
  const onsubmit = async (event) => {
    event.preventDefault();
    const comment = field.value.trim();
    if (!comment) return close();
    submit.disabled = true;
    if (!(await send(comment))) submit.disabled = false;
  };
  const form = element('form', { className: 'panel', onsubmit }, element('div', { className: 'field' }, label), buttons);
  form.setAttribute('aria-label', gettext('Bad answer'));
  closeByEscape(form, close);
  return form;
}
