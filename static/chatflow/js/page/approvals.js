import { button, element, icon } from './dom.js';
import { Fields } from './fields.js';
import { reasonOf } from './reasons.js';
import { gettext, moment } from './words.js';

// Answers that say: there is nothing to decide any more.
const OVER = new Set([404, 409]);

/**
 * The form in which the user approves or rejects.
 *
 * @param {object} awaiting
 * @param {object} moves see questionBar()
 * @param {HTMLButtonElement} cancel
 * @param {HTMLElement} bar where the form stands; removed once nothing is left to decide
 */
export function approvalForm(awaiting, moves, cancel, bar) {
  const { schema, details, expires_at: expiresAt } = awaiting;
  const fields = schema ? new Fields(schema) : null;
  const reason = element('input', { type: 'text', maxLength: 1000, autocomplete: 'off' });
  const label = element('label', {}, gettext('Reason (optional)'), reason);
  const complaint = element('p', { className: 'field__error', hidden: true, attributes: { role: 'alert' } });
  const decide = async (approved) => {
    if (bar.dataset.busy || (approved && !form.reportValidity())) return;
    bar.dataset.busy = 'true';
    approve.disabled = reject.disabled = true;
    const answer = approved && fields ? { answer: fields.values } : {};
    const error = await moves.decide(awaiting, { approved, reason: reason.value.trim(), ...answer });
    delete bar.dataset.busy;
    approve.disabled = reject.disabled = false;
    // A decision can't be taken back, nor given twice.
    if (!error || OVER.has(error.status)) return bar.remove();
    if (!error.errors) return;
    complaint.textContent = fields ? fields.complain(error.errors) : reasonOf(error);
    complaint.hidden = !complaint.textContent;
  };
  const approve = button('', () => decide(true), 'button button--primary');
  const reject = button('', () => decide(false), 'button button--danger');
  approve.append(icon('check'), gettext('Approve'));
  reject.append(icon('close'), gettext('Reject'));
  // Enter, after a reason was typed, must not decide which way.
  const onsubmit = (event) => event.preventDefault();
  const buttons = element('div', { className: 'message__actions approval__buttons' }, approve, reject, cancel);
  const parts = [detailList(details), fields?.node, element('div', { className: 'field' }, label), complaint, buttons, until(expiresAt)];
  const form = element('form', { className: 'panel', onsubmit }, ...parts.filter(Boolean));
  form.setAttribute('aria-label', awaiting.prompt ?? gettext('Approval'));
  return form;
}

function detailList(details) {
  const entries = Object.entries(details ?? {});
  if (!entries.length) return null;
  const rows = entries.flatMap(([name, value]) => [
    element('dt', { textContent: name }),
    element('dd', { textContent: typeof value === 'string' ? value : JSON.stringify(value) }),
  ]);
  return element('dl', { className: 'details' }, ...rows);
}

function until(expiresAt) {
  const end = new Date(expiresAt);
  if (!expiresAt || Number.isNaN(end.getTime())) return null;
  const when = moment(end);
  const textContent = end <= new Date() ? gettext('The time to decide was over at {when}.', { when }) : gettext('To be decided by {when}.', { when });
  return element('p', { className: 'field__hint', textContent });
}
