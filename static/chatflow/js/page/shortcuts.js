import { byId } from './dom.js';

/**
 * The page's keys. All but Escape come with Ctrl or ⌘ or stand in the message, so that nobody who speaks to their
 * computer, or types elsewhere, sets them off.
 *
 * @param {object} moves `search()`, `start()`, `stop()`
 */
export function listenForShortcuts(moves) {
  const dialog = byId('shortcuts');
  const open = () => dialog.open || dialog.showModal();
  byId('shortcuts-open').addEventListener('click', open);
  byId('shortcuts-close').addEventListener('click', () => dialog.close());
  byId('conversation').addEventListener('keydown', (event) => {
    if (event.key === '?' && event.target === event.currentTarget) open();
  });
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if (event.key === 'Escape' && !document.querySelector('dialog[open], [popover]:popover-open')) return moves.stop();
    const move = (event.ctrlKey || event.metaKey) && !event.altKey && commandOf(event, { ...moves, open });
    if (!move) return;
    event.preventDefault();
    move();
  });
}

function commandOf({ key, shiftKey }, { search, start, open }) {
  if (key.toLowerCase() === 'k' && !shiftKey) return search;
  if (key.toLowerCase() === 'o' && shiftKey) return start;
  if (key === '/' || (key === '7' && shiftKey)) return open;
  return null;
}
