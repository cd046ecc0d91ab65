import { actionBar } from './actions.js';
import { answerMark } from './answer-mark.js';
import { element } from './dom.js';
import { questionBar } from './questions.js';
import { sourceList } from './sources.js';

const conversation = () => document.getElementById('conversation');

/**
 * Add a message to `#conversation`, as plain text; the example's page shows them so.
 *
 * @param {string} text
 * @param {object} [options] `role` ("assistant", "user" or "note"); `metadata`, `actions`, `sources`, `awaiting`;
 *   `moves`: what the page does when the user picks one (see actionBar and questionBar)
 */
export function displayMessage(text, { role = 'assistant', metadata, actions, sources, awaiting, moves } = {}) {
  const parts = [
    element('div', { className: 'message__text', textContent: text ?? '', dir: 'auto' }),
    answerMark(metadata),
    sourceList(sources),
    questionBar(awaiting, moves),
    actionBar(actions, moves),
  ];
  // An article is no alert.
  const article = element(role === 'error' ? 'div' : 'article', { className: `message message--${role}` }, ...parts);
  conversation().append(article);
  return article;
}

/** Say what went wrong. */
export function displayError(error) {
  const article = displayMessage(typeof error === 'string' ? error : error.message, { role: 'error' });
  article.setAttribute('role', 'alert');
}

/** Take back what answers an earlier message: once the talk went on, it would answer another one. */
export function retireReplies() {
  const stale = ['.question', '.reply'].map((kind) => `#conversation ${kind}:not([data-busy])`);
  for (const control of document.querySelectorAll(stale.join())) control.remove();
}
