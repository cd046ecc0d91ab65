import { byId } from './dom.js';
import { notify } from './notices.js';
import { gettext } from './words.js';

const KEY = 'chatflow.notifications';

/** Gets the user's attention in another tab: a count in the title, a dot on the icon, and if asked for a notification. */
export class Attention {
  #link = document.querySelector('link[rel="icon"]');
  #plain = this.#link.href;
  #switch = byId('notifications');
  #title = document.title;
  #count = 0;

  constructor() {
    if (!('Notification' in globalThis)) return (this.#switch.closest('label').hidden = true);
    this.#switch.checked = this.isAsked;
    this.#switch.addEventListener('change', () => this.#change());
  }

  get isAsked() {
    return globalThis.Notification?.permission === 'granted' && localStorage.getItem(KEY) === 'on';
  }

  /** @param {string} title of the conversation that is shown */
  setTitle(title) {
    this.#title = title ? `${title} · Chatflow` : 'Chatflow';
    this.#draw();
  }

  setCount(count) {
    this.#count = count;
    this.#draw();
  }

  /** Tell of a conversation that is done or asks something, where nobody looks. */
  tell({ title, awaiting, last_state: state }, onClick) {
    if (!document.hidden || !this.isAsked) return;
    const body = awaiting ? gettext('It waits for your answer.') : ENDS[state]?.();
    if (!body) return;
    const notification = new Notification(title || gettext('Conversation'), { body, tag: title });
    notification.onclick = () => {
      window.focus();
      notification.close();
      onClick();
    };
  }

  async #change() {
    if (!this.#switch.checked) return localStorage.setItem(KEY, 'off');
    const permission = await Notification.requestPermission();
    if (permission === 'granted') return localStorage.setItem(KEY, 'on');
    this.#switch.checked = false;
    notify(gettext('The browser does not allow notifications of this site.'));
  }

  #draw() {
    document.title = this.#count ? `(${this.#count}) ${this.#title}` : this.#title;
    this.#link.href = this.#count ? this.#link.dataset.news : this.#plain;
  }
}

const ENDS = {
  completed: () => gettext('It is done.'),
  failed: () => gettext('It failed.'),
  timeout: () => gettext('It took too long.'),
};
