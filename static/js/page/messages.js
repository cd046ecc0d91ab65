import { actionBar } from './actions.js';
import { button, element } from './dom.js';
import { formatText } from './formatted-text.js';
import { answerMark } from './answer-mark.js';
import { questionBar } from './questions.js';
import { sourceList } from './sources.js';

// What the user stopped is no error.
const STOPPED = new Set(['cancelled', 'interrupted']);

const conversation = () => document.getElementById('conversation');

/**
 * Add a message to `#conversation`; returns its article, for fillMessage() to change.
 *
 * @param {string} text
 * @param {object} [options] `role` ("assistant", "user" or "note"), and what fillMessage() takes
 */
export function displayMessage(text, { role = 'assistant', ...rest } = {}) {
  const article = element('article', { className: `message message--${role}` });
  const add = () => {
    conversation().append(article);
    fillMessage(article, { text, ...rest });
  };
  keepEndInSight(add, { force: role === 'user' });
  return article;
}

/** Say what went wrong, with a button where something can be done about it. */
export function displayError(error, { label, onClick } = {}) {
  const article = displayMessage(typeof error === 'string' ? error : error.message, { role: 'error' });
  article.setAttribute('role', 'alert');
  if (onClick) {
    const again = () => {
      article.remove();
      onClick();
    };
    keepEndInSight(() => article.append(element('div', { className: 'message__actions' }, button(label, again))));
  }
  return article;
}

/** Say why there is no answer. */
export function displayFailure({ message, code }, remedy) {
  if (STOPPED.has(code)) displayMessage(message, { role: 'note' });
  else displayError(message, remedy);
}

/**
 * Set what a message shows.
 *
 * @param {HTMLElement} article
 * @param {object} content `text`, `metadata`, `actions`, `sources`, `awaiting`; `moves`: what the page
 *   does when the user picks one (see actionBar and questionBar); `busy` while words are still coming
 */
export function fillMessage(article, { text = '', metadata, actions, sources, awaiting, moves, busy = false }) {
  const parts = [
    // Consent is given to the words as they stand, not to what they may be made to look like.
    element('div', { className: 'message__text' }, awaiting?.kind === 'approval' ? text : formatText(text)),
    answerMark(metadata),
    sourceList(sources),
    questionBar(awaiting, moves),
    actionBar(actions, moves),
  ];
  article.hidden = !text && !busy && parts.slice(1).every((part) => !part);
  article.setAttribute('aria-busy', String(busy));
  article.replaceChildren(...parts.filter(Boolean));
}

/** Take back what answers an earlier message: once the talk went on, it would answer another one. */
export function retireReplies() {
  const stale = ['.question', '.reply'].map((kind) => `#conversation ${kind}:not([data-busy])`);
  for (const control of document.querySelectorAll(stale.join())) control.remove();
}

/** Change the page; the newest message stays in sight, unless the reader has scrolled away from it. */
export function keepEndInSight(change, { force = false } = {}) {
  const log = conversation();
  const distance = log.scrollHeight - log.scrollTop - log.clientHeight;
  change();
  if (force || distance < 240) log.scrollTop = log.scrollHeight;
}
