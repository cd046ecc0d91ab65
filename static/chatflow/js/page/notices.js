import { button, byId, element, iconButton } from './dom.js';
import { gettext } from './words.js';

const SHOWN = 6000;

/** Say something to screen readers only. */
export function announce(text) {
  const place = byId('announcement');
  // The same words twice are said twice only where they were gone in between.
  if (place) place.textContent = place.textContent === text ? `${text}\u00a0` : text;
}

/**
 * Show a short note, which goes by itself.
 *
 * @param {string} text
 * @param {object} [options] `label` and `onClick`: what can be done; `stays`: until it is closed
 */
export function notify(text, { label, onClick, stays = false } = {}) {
  const place = byId('notices');
  const close = () => note.remove();
  const act = () => {
    close();
    onClick();
  };
  const note = element(
    'div',
    { className: 'notice' },
    element('p', { textContent: text }),
    onClick ? button(label, act, 'button button--small') : null,
    iconButton('close', gettext('Close'), close),
  );
  place.append(note);
  if (!stays) setTimeout(close, SHOWN);
  return close;
}
