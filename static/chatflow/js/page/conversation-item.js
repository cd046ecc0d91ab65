import { addressOf } from './address.js';
import { element, icon, iconButton, setText } from './dom.js';
import { plain } from './markdown.js';
import { attachMenu } from './menu.js';
import { gettext } from './words.js';

/** One conversation in the list: a link with its marks, and a menu of what can be done with it. */
export class ConversationItem {
  node = element('li', { className: 'conversations__item' });
  #moves;
  #session = null;
  #mark = element('span', { className: 'conversations__mark' });
  #title = element('span', { className: 'conversations__title', dir: 'auto' });
  #excerpt = element('span', { className: 'conversations__excerpt', dir: 'auto', hidden: true });
  #link = element('a', { className: 'conversations__link' });
  #menu = iconButton('more', '', null, 'icon-button conversations__menu');

  /**
   * @param {object} moves `open(id)`, `rename(session)`, `pin(session)`, `remove(session)`, `exportUrl(id)`
   */
  constructor(moves) {
    this.#moves = moves;
    this.#link.append(this.#mark, this.#title, this.#excerpt);
    this.node.append(this.#link, this.#menu);
    this.#link.addEventListener('click', (event) => {
      // With a modifier key the browser opens it in another tab.
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#moves.open(this.#session.session_id);
    });
    this.#menu.removeAttribute('title');
    attachMenu(this.#menu, () => this.#entries());
  }

  show(session, isCurrent) {
    this.#session = session;
    const title = session.title || gettext('New conversation');
    this.#link.href = addressOf(session.session_id);
    this.#link.title = title;
    setText(this.#title, title);
    setText(this.#excerpt, plain(session.excerpt ?? ''));
    this.#excerpt.hidden = !session.excerpt;
    this.#menu.setAttribute('aria-label', gettext('More about “{title}”', { title }));
    this.#showMark(session);
    this.select(isCurrent);
  }

  select(isCurrent) {
    if (isCurrent) this.#link.setAttribute('aria-current', 'page');
    else this.#link.removeAttribute('aria-current');
  }

  #showMark(session) {
    const [state, words] = stateOf(session);
    if (this.#mark.dataset.state === state) return;
    this.#mark.dataset.state = state;
    const said = words ? [element('span', { className: 'visually-hidden', textContent: words })] : [];
    this.#mark.title = words;
    this.#mark.replaceChildren(...(state === 'pinned' ? [icon('pin')] : []), ...said);
  }

  #entries() {
    const session = this.#session;
    return [
      { icon: 'edit', label: gettext('Rename'), onClick: () => this.#moves.rename(session) },
      { icon: 'pin', label: session.pinned ? gettext('Unpin') : gettext('Pin'), onClick: () => this.#moves.pin(session) },
      { icon: 'download', label: gettext('Export'), href: this.#moves.exportUrl(session.session_id) },
      { icon: 'trash', label: gettext('Delete'), onClick: () => this.#moves.remove(session), look: 'menu__item--danger' },
    ];
  }
}

/** What its mark says; the most urgent thing alone. */
function stateOf({ active_job: job, awaiting, unread, last_state: last, pinned }) {
  if (job) return ['running', gettext('Running')];
  if (awaiting) return ['waiting', gettext('Waits for your answer')];
  if (unread) return last === 'failed' || last === 'timeout' ? ['failed', gettext('Failed')] : ['unread', gettext('New')];
  return pinned ? ['pinned', ''] : ['none', ''];
}
