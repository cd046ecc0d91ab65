import { button, element } from './dom.js';
import { link } from './format.js';

// The words that the server reads as an answer, and what they are called on a button.
const FIXED_ANSWERS = {
  confirm: [
    ['yes', 'Yes', 'chip--primary'],
    ['no', 'No'],
  ],
  approval: [
    ['yes', 'Approve', 'chip--primary'],
    ['no', 'Decline'],
  ],
};

/** The answers that an open question offers; null where there is no question. */
export function questionBar(awaiting, onReply) {
  if (!awaiting || !onReply) return null;
  const answers = [...answersTo(awaiting), ['cancel', 'Cancel', 'chip--quiet']];
  const buttons = answers.map(([value, label, look = '']) => replyButton(value, label, onReply, `chip ${look}`));
  const bar = element('div', { className: 'question' }, ...buttons);
  bar.dataset.kind = awaiting.kind;
  bar.setAttribute('role', 'group');
  bar.setAttribute('aria-label', awaiting.prompt || 'Your answer');
  return bar;
}

/** What an answer was called, to show it as the user picked it. */
export function labelOf(awaiting, answer) {
  return (awaiting && answersTo(awaiting).find(([value]) => value === answer)?.[1]) ?? answer;
}

/** What is sent, what the button says, how it looks. */
function answersTo({ kind, choices, optional }) {
  const chosen = choices?.map(({ value, label }) => [String(value), String(label ?? value)]);
  const answers = chosen ?? FIXED_ANSWERS[kind] ?? [];
  return optional ? [...answers, ['skip', 'Skip', 'chip--quiet']] : answers;
}

/** The next moves that a message offers. */
export function actionBar(actions, onReply) {
  const controls = (actions ?? []).map((action) => control(action, onReply)).filter(Boolean);
  return controls.length ? element('div', { className: 'message__actions' }, ...controls) : null;
}

function control({ type, label, url, message }, onReply) {
  const name = String(label ?? message ?? url ?? '');
  if (url && (type === 'link' || !message)) {
    const anchor = link(name, url);
    if (!anchor.href) return null;
    anchor.className = 'chip';
    return anchor;
  }
  if (!name || !onReply) return null;
  return replyButton(String(message ?? name), name, onReply, 'chip reply');
}

/** The documents that a message cites. */
export function sourceList(sources) {
  if (!sources?.length) return null;
  const items = sources.map((source) => {
    const title = String(source.title ?? source.url ?? 'Untitled');
    const excerpt = source.excerpt ?? source.content_preview ?? source.snippet ?? '';
    const quote = element('span', { className: 'sources__excerpt', textContent: excerpt });
    return element('li', {}, link(title, source.url), quote);
  });
  const title = element('summary', { textContent: `Sources (${sources.length})` });
  return element('details', { className: 'sources' }, title, element('ol', {}, ...items));
}

function replyButton(value, label, onReply, className) {
  const node = button(label, () => onReply(value, label), className);
  node.value = value;
  return node;
}
