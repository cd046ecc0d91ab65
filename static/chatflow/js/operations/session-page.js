/** A conversation's page goes on by itself: its running turn, and what is said next. It is complete without. */

import { readPage, replace, takeOver } from './live-parts.js';

// Milliseconds between two looks: while news come, while a turn runs in silence, and while none runs.
const PAUSE = 1000;
const POLL = 2000;
const IDLE = 10_000;

/** Show what a fresh page has. */
export function show(page, fresh) {
  Object.assign(page.dataset, fresh.dataset);
  const [turns, others] = [page, fresh].map((each) => each.querySelector('[data-grows]'));
  const keys = (list) => [...list.children].map(({ dataset }) => dataset.live).join();
  if (keys(turns) !== keys(others)) replace(turns, others);
  takeOver(page, fresh);
}

/** Looks at the page again whenever the stream of its running job says something, and now and then. */
export class Live {
  #page;
  #tools;
  #job = '';
  #source = null;
  #timer = null;
  #looked = Date.now();
  #isLooking = false;
  #hasNews = false;

  constructor(page, tools = {}) {
    this.#page = page;
    this.#tools = { read: () => readPage('session-page'), open: (url) => new EventSource(url), show, ...tools };
  }

  follow() {
    const { job, stream, after } = this.#page.dataset;
    if (job !== this.#job) {
      this.#close();
      this.#job = job;
      if (stream) this.#listen(`${stream}&last_event_id=${after}`);
    }
    this.#lookLater();
  }

  #listen(address) {
    const source = (this.#source = this.#tools.open(address));
    source.onmessage = () => {
      this.#hasNews = true;
      this.#lookLater();
    };
    // What the stream doesn't tell, as where this server has none, the looks find.
    source.onerror = () => this.#close();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  #lookLater() {
    if (this.#isLooking) return;
    clearTimeout(this.#timer);
    const pause = this.#hasNews ? PAUSE : this.#job ? POLL : IDLE;
    this.#timer = setTimeout(() => this.#look(), Math.max(0, this.#looked + pause - Date.now()));
  }

  async #look() {
    this.#looked = Date.now();
    this.#hasNews = false;
    this.#isLooking = true;
    const fresh = globalThis.document?.hidden ? null : await this.#tools.read().catch(() => null);
    this.#isLooking = false;
    if (fresh) this.#tools.show(this.#page, fresh);
    this.follow();
  }
}

const page = globalThis.document?.getElementById('session-page');
if (page) new Live(page).follow();
