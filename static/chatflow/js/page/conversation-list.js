import { ConversationItem } from './conversation-item.js';
import { dayOf } from './days.js';
import { byId, element } from './dom.js';
import { gettext } from './words.js';

// Milliseconds after the last key until a search begins.
const PAUSE = 200;

/** The user's conversations in the sidebar: pinned ones first, then by day; with a search through all of them. */
export class ConversationList {
  #client;
  #moves;
  #box = byId('conversations');
  #search = byId('search');
  #empty = byId('conversations-empty');
  #sentinel = element('div', { className: 'conversations__more' });
  #sessions = new Map();
  #items = new Map();
  #groups = new Map();
  #next = null;
  #current = null;
  #isLoading = false;
  #timer = null;

  /**
   * @param {object} client `sessions({limit, cursor, q})`
   * @param {object} moves see ConversationItem
   */
  constructor(client, moves) {
    this.#client = client;
    this.#moves = moves;
    this.#search.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.load(), PAUSE);
    });
    new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && this.#more()).observe(this.#sentinel);
  }

  get query() {
    return this.#search.value.trim();
  }

  /** How many conversations have something that the user hasn't seen. */
  get unread() {
    return [...this.#sessions.values()].filter(({ unread }) => unread).length;
  }

  get(sessionId) {
    return this.#sessions.get(sessionId) ?? null;
  }

  /** Load the list anew, or what the search finds. */
  load() {
    return this.#take();
  }

  /** Search again where an earlier search of the user's is still going on. */
  #again(query, error) {
    if (!query || query !== this.query || error.status !== 503) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.load(), (error.retryAfter ?? 1) * 1000);
  }

  async #more() {
    if (!this.#next || this.#isLoading) return;
    this.#isLoading = true;
    await this.#take(this.#next);
    this.#isLoading = false;
  }

  /** Take a page of the list, without a cursor the first one. */
  async #take(cursor) {
    const query = this.query;
    const answer = await this.#client.sessions({ limit: 30, cursor, q: query }).catch((error) => this.#again(query, error));
    if (!answer || query !== this.query) return;
    if (!cursor) this.#sessions.clear();
    for (const session of answer.sessions) this.#sessions.set(session.session_id, session);
    this.#next = answer.next;
    this.#draw();
  }

  /** A conversation is new or has changed. */
  put(session) {
    // What a search has found stays as it was found.
    if (this.query && !this.#sessions.has(session.session_id)) return;
    this.#sessions.set(session.session_id, { ...this.#sessions.get(session.session_id), ...session });
    this.#draw();
  }

  remove(sessionId) {
    this.#sessions.delete(sessionId);
    this.#draw();
  }

  /** Mark the conversation that is shown; null for a new one. */
  select(sessionId) {
    this.#current = sessionId;
    for (const [id, item] of this.#items) item.select(id === sessionId);
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  #draw() {
    const sorted = [...this.#sessions.values()].sort(
      (one, other) => Number(other.pinned) - Number(one.pinned) || Date.parse(other.updated_at) - Date.parse(one.updated_at),
    );
    const groups = Map.groupBy(sorted, (session) => (session.pinned ? gettext('Pinned') : dayOf(new Date(session.updated_at))));
    for (const [id, item] of this.#items) {
      if (this.#sessions.has(id)) continue;
      item.node.remove();
      this.#items.delete(id);
    }
    let before = null;
    for (const [label, sessions] of groups) {
      const { node, list } = this.#group(label);
      put(this.#box, node, before);
      before = node;
      this.#fill(list, sessions);
    }
    for (const [label, { node }] of this.#groups) {
      if (groups.has(label)) continue;
      node.remove();
      this.#groups.delete(label);
    }
    this.#box.append(this.#sentinel);
    this.#empty.hidden = sorted.length > 0;
    this.#empty.textContent = this.query ? gettext('Nothing was found.') : gettext('Your conversations will stand here.');
    this.#moves.onChange();
  }

  #group(label) {
    if (!this.#groups.has(label)) {
      const list = element('ul', { attributes: { role: 'list' } });
      const node = element('section', { className: 'conversations__group' }, element('h2', { textContent: label }), list);
      this.#groups.set(label, { node, list });
    }
    return this.#groups.get(label);
  }

  #fill(list, sessions) {
    let before = null;
    for (const session of sessions) {
      const id = session.session_id;
      if (!this.#items.has(id)) this.#items.set(id, new ConversationItem(this.#moves));
      const item = this.#items.get(id);
      item.show(session, id === this.#current);
      put(list, item.node, before);
      before = item.node;
    }
  }
}

/** Put `node` behind `before`, and touch it only where it stands elsewhere. */
function put(parent, node, before) {
  const wanted = before ? before.nextSibling : parent.firstChild;
  if (node.parentNode === parent && wanted === node) return;
  // Moved by a browser that can, it keeps the focus, and its menu stays open.
  const move = node.isConnected && parent.moveBefore ? 'moveBefore' : 'insertBefore';
  parent[move](node, wanted);
}
