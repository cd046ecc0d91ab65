import { byId, setText } from './dom.js';
import { gettext } from './words.js';

const SHOWN = 3000;

/** The line that says at once when the page has lost the server, and when it is back. */
export class Connection {
  #node = byId('connection');
  #isLost = false;
  #timer = null;

  /** @param {boolean} isLost */
  show(isLost) {
    // Without its network it says so; with it again, and no server yet, something else.
    if (isLost) setText(this.#node, this.#sentence());
    if (isLost === this.#isLost) return;
    this.#isLost = isLost;
    clearTimeout(this.#timer);
    this.#node.dataset.lost = String(isLost);
    this.#node.hidden = false;
    if (isLost) return;
    setText(this.#node, gettext('Connected again'));
    this.#timer = setTimeout(() => (this.#node.hidden = true), SHOWN);
  }

  /** Say nothing: something else stands in the way. */
  hide() {
    this.#isLost = false;
    clearTimeout(this.#timer);
    this.#node.hidden = true;
  }

  #sentence() {
    return navigator.onLine
      ? gettext('The server can’t be reached. Reconnecting… Nothing is lost.')
      : gettext('You are offline. Reconnecting… Nothing is lost.');
  }
}
