import { copyText } from './clipboard.js';
import { element, iconButton } from './dom.js';
import { isStopped } from './turn-state.js';
import { turnFacts } from './turn-facts.js';
import { gettext } from './words.js';

/** What can be done with a turn that has ended, and what it took. */
export function toolbar(turn, { isLast }, moves) {
  const { answer, jobId, key, model, can_regenerate: isPossible } = turn;
  const buttons = [];
  if (answer?.content) {
    const copy = iconButton('copy', gettext('Copy'), () => copyText(answer.content, copy));
    buttons.push(copy);
  }
  // Rules would answer the same again.
  if (isLast && isPossible && model && !isStopped(turn)) buttons.push(iconButton('again', gettext('Answer again'), () => moves.regenerate(jobId)));
  if (isLast && isStopped(turn)) buttons.push(iconButton('again', gettext('Try again'), () => moves.retry(jobId ?? key)));
  if (answer && jobId && moves.feedback) buttons.push(...thumbs(turn, moves));
  const facts = turnFacts(turn);
  if (!buttons.length && !facts) return null;
  return element('div', { className: 'toolbar' }, ...buttons, facts);
}

function thumbs({ jobId, feedback }, moves) {
  const thumb = (value, name, label) => {
    const isGiven = feedback?.value === value;
    const node = iconButton(name, label, () => moves.feedback(jobId, isGiven ? null : value));
    node.setAttribute('aria-pressed', String(isGiven));
    return node;
  };
  return [thumb('up', 'thumb-up', gettext('Good answer')), thumb('down', 'thumb-down', gettext('Bad answer'))];
}
