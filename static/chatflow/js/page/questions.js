import { approvalForm } from './approvals.js';
import { button, element } from './dom.js';
import { Fields } from './fields.js';
import { gettext } from './words.js';

// The words that the server reads as an answer, and what they are called on a button.
const yesNo = () => [
  ['yes', gettext('Yes'), 'chip--primary'],
  ['no', gettext('No')],
];
const cancelling = () => ['cancel', gettext('Cancel the request'), 'chip--quiet'];

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
  const cancel = replyButton(cancelling(), moves);
  const answers = () => answersTo(awaiting).map((answer) => replyButton(answer, moves));
  const bar = element('div', { className: 'question' });
  if (kind === 'approval' && awaiting.approval_id) bar.append(approvalForm(awaiting, moves, cancel, bar));
  else if (kind === 'form' && awaiting.schema) bar.append(questionForm(awaiting, moves, cancel));
  else bar.append(...answers(), cancel);
  bar.dataset.kind = kind;
  bar.setAttribute('role', 'group');
  bar.setAttribute('aria-label', prompt || gettext('Your answer'));
  return bar;
}

/** What an answer was called, to show it as the user picked it. */
export function labelOf(awaiting, answer) {
  if (awaiting?.kind === 'form' && answer.startsWith('{')) return labelOfForm(answer, awaiting.schema);
  return (awaiting && answersTo(awaiting).find(([value]) => value === answer)?.[1]) ?? answer;
}

/** What is sent, what the button says, how it looks. */
function answersTo({ kind, choices, optional }) {
  const chosen = choices?.map(({ value, label }) => [String(value), String(label ?? value)]);
  const answers = chosen ?? (kind === 'confirm' || kind === 'approval' ? yesNo() : []);
  return optional ? [...answers, ['skip', gettext('Skip'), 'chip--quiet']] : answers;
}

/** A form's answer goes as JSON, and is shown as words, under the titles of the fields. */
function labelOfForm(answer, schema) {
  const said = (value) => (typeof value === 'boolean' ? (value ? gettext('Yes') : gettext('No')) : String(value));
  const title = (name) => schema?.properties?.[name]?.title ?? name;
  try {
    return Object.entries(JSON.parse(answer)).map(([name, value]) => `${title(name)}: ${said(value)}`).join('\n');
  } catch {
    return answer;
  }
}

function questionForm({ schema }, moves, cancel) {
  const fields = new Fields(schema);
  const onsubmit = (event) => {
    event.preventDefault();
    const answer = JSON.stringify(fields.values);
    moves.reply(answer, labelOfForm(answer, schema));
  };
  const submit = element('button', { type: 'submit', className: 'chip chip--primary', textContent: gettext('Send') });
  const buttons = element('div', { className: 'message__actions' }, submit, cancel);
  return element('form', { className: 'panel', onsubmit }, fields.node, buttons);
}

function replyButton([value, label, look = ''], moves) {
  return Object.assign(button(label, () => moves.reply(value, label), `chip ${look}`), { value });
}
