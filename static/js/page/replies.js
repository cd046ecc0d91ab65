import { button, element } from './dom.js';
import { Fields } from './fields.js';

// The words that the server reads as an answer, and what they are called on a button.
const YES_NO = [
  ['yes', 'Yes', 'chip--primary'],
  ['no', 'No'],
];
// Answers that say: there is nothing to decide any more.
const OVER = new Set([404, 409]);
const CANCEL = ['cancel', 'Cancel', 'chip--quiet'];

/**
 * The answers that an open question offers; null where there is no question.
 *
 * @param {object} awaiting
 * @param {object} moves what the page does: `reply(text, label)` sends a message; `decide(awaiting,
 *   decision)` resolves with the error that kept the server from it, or null
 */
export function questionBar(awaiting, moves) {
  if (!awaiting || !moves) return null;
  const { kind, prompt } = awaiting;
  const cancel = replyButton(CANCEL, moves);
  const answers = () => answersTo(awaiting).map((answer) => replyButton(answer, moves));
  const bar = element('div', { className: 'question' });
  if (kind === 'approval' && awaiting.approval_id) bar.append(approvalForm(awaiting, moves, cancel, bar));
  else if (kind === 'form' && awaiting.schema) bar.append(questionForm(awaiting, moves, cancel));
  else bar.append(...answers(), cancel);
  bar.dataset.kind = kind;
  bar.setAttribute('role', 'group');
  bar.setAttribute('aria-label', prompt || 'Your answer');
  return bar;
}

/** What an answer was called, to show it as the user picked it. */
export function labelOf(awaiting, answer) {
  if (awaiting?.kind === 'form') return labelOfForm(answer);
  return (awaiting && answersTo(awaiting).find(([value]) => value === answer)?.[1]) ?? answer;
}

/** What is sent, what the button says, how it looks. */
function answersTo({ kind, choices, optional }) {
  const chosen = choices?.map(({ value, label }) => [String(value), String(label ?? value)]);
  const answers = chosen ?? (kind === 'confirm' || kind === 'approval' ? YES_NO : []);
  return optional ? [...answers, ['skip', 'Skip', 'chip--quiet']] : answers;
}

/** A form's answer goes as JSON, and is shown as words. */
function labelOfForm(answer) {
  try {
    return Object.entries(JSON.parse(answer)).map(([name, value]) => `${name}: ${value}`).join('\n');
  } catch {
    return answer;
  }
}

function questionForm({ schema }, moves, cancel) {
  const fields = new Fields(schema);
  const onsubmit = (event) => {
    event.preventDefault();
    const answer = JSON.stringify(fields.values);
    moves.reply(answer, labelOfForm(answer));
  };
  const submit = element('button', { type: 'submit', className: 'chip chip--primary', textContent: 'Send' });
  const buttons = element('div', { className: 'message__actions' }, submit, cancel);
  return element('form', { className: 'panel', onsubmit }, fields.node, buttons);
}

function approvalForm(awaiting, moves, cancel, bar) {
  const { schema, details, expires_at: expiresAt } = awaiting;
  const fields = schema ? new Fields(schema) : null;
  const reason = element('input', { type: 'text', maxLength: 1000, autocomplete: 'off' });
  const label = element('label', {}, 'Reason (optional)', reason);
  const complaint = element('p', { className: 'field__error', hidden: true });
  complaint.setAttribute('role', 'alert');
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
    complaint.textContent = fields ? fields.complain(error.errors) : error.message;
    complaint.hidden = !complaint.textContent;
  };
  const approve = button('Approve', () => decide(true), 'chip chip--primary');
  const reject = button('Reject', () => decide(false), 'chip');
  // Enter, after a reason was typed, must not decide which way.
  const onsubmit = (event) => event.preventDefault();
  const buttons = element('div', { className: 'message__actions' }, approve, reject, cancel);
  const parts = [detailList(details), fields?.node, element('div', { className: 'field' }, label), complaint, buttons, until(expiresAt)];
  const form = element('form', { className: 'panel', onsubmit }, ...parts.filter(Boolean));
  form.setAttribute('aria-label', awaiting.prompt ?? 'Approval');
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
  const moment = new Date(expiresAt);
  if (Number.isNaN(moment.getTime())) return null;
  const when = moment.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  const textContent = moment <= new Date() ? `The time to decide was over at ${when}.` : `To be decided by ${when}.`;
  return element('p', { className: 'field__hint', textContent });
}

function replyButton([value, label, look = ''], moves) {
  return Object.assign(button(label, () => moves.reply(value, label), `chip ${look}`), { value });
}
