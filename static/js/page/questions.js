import { approvalForm } from './approvals.js';
import { button, element } from './dom.js';
import { Fields } from './fields.js';

// The words that the server reads as an answer, and what they are called on a button.
const YES_NO = [
  ['yes', 'Yes', 'chip--primary'],
  ['no', 'No'],
];
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

function replyButton([value, label, look = ''], moves) {
  return Object.assign(button(label, () => moves.reply(value, label), `chip ${look}`), { value });
}
