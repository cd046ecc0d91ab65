import { EventParser } from './event-parser.js';
import { parseObject, withCursor } from './request.js';
import { readText } from './text-stream.js';
import { Pause, backoff } from './timing.js';

/** Milliseconds without a byte, not even a keep-alive, after which a connection counts as dead. */
const SILENCE = 35_000;
/** Milliseconds after which a connection counts as a good one, though nothing happened; and a lost one as lost. */
const STEADY = 1000;
// To come again would be answered alike.
const FINAL = { 401: 'signed-out', 403: 'signed-out', 404: 'unsupported' };
// The cursor is of no use: not understood, of another database, or too long for a proxy.
const BAD_CURSOR = new Set([400, 409, 414, 431]);

/** The one connection to all that happens to a user; it is opened again for as long as it takes. */
export class UserStream {
  #url;
  #headers;
  #on;
  #cursor;
  #silence;
  #tries = 0;
  #greeted = Infinity;
  #pause = new Pause();
  #telling = null;
  #connection = null;
  #isClosed = false;

  /**
   * @param {string} url
   * @param {object} options `headers` of the request; `cursor` to begin behind; `silence` in milliseconds;
   *   `onFrame(frame, cursor)`; `onState(state)`: connected, reconnecting, offline, signed-out, unsupported
   */
  constructor(url, { headers = {}, cursor = '', silence = SILENCE, onFrame, onState }) {
    this.#url = url;
    this.#headers = headers;
    this.#cursor = cursor;
    this.#silence = silence;
    this.#on = { frame: onFrame, state: onState };
  }

  /** Read until close(), or until the server wants no more of it. */
  async run() {
    while (!this.#isClosed) {
      const error = await this.#readOnce();
      clearTimeout(this.#telling);
      if (this.#isClosed) return;
      // A server that greets and goes, again and again, is not asked without a pause.
      if (Date.now() - this.#greeted > STEADY) this.#tries = 0;
      this.#greeted = Infinity;
      if (FINAL[error?.status]) return this.#on.state(FINAL[error.status]);
      if (BAD_CURSOR.has(error?.status)) this.#forget();
      // The first try again is made at once, and may find that only nobody is signed in any more.
      if (this.#tries) this.#tellLoss();
      else this.#telling = setTimeout(() => this.#tellLoss(), STEADY);
      await this.#pause.wait(Math.max(backoff(this.#tries), (error?.retryAfter ?? 0) * 1000));
      this.#tries += 1;
    }
  }

  /** Try again now: the network is back, or somebody looks. */
  wake() {
    this.#tries = 0;
    this.#pause.wake();
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#telling);
    this.#connection?.abort();
    this.#pause.wake();
  }

  #tellLoss() {
    this.#on.state(globalThis.navigator?.onLine === false ? 'offline' : 'reconnecting');
  }

  /** Read one connection to its end; resolves with the error that ended it, if any. */
  async #readOnce() {
    const connection = new AbortController();
    const parser = new EventParser((message) => !connection.signal.aborted && this.#take(message));
    let timer;
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(drop, this.#silence);
    };
    const drop = () => {
      this.#tellLoss();
      connection.abort();
    };
    const onText = (text) => {
      listen();
      parser.push(text);
    };
    this.#connection = connection;
    listen();
    try {
      await readText(withCursor(this.#url, this.#cursor), { headers: this.#headers, signal: connection.signal, onText });
      return null;
    } catch (error) {
      return error;
    } finally {
      clearTimeout(timer);
      connection.abort();
    }
  }

  #take({ data, id }) {
    const frame = parseObject(data);
    if (!frame) return;
    clearTimeout(this.#telling);
    const isGreeting = frame.type === 'connected';
    if (isGreeting) this.#greeted = Date.now();
    else this.#tries = 0;
    this.#cursor = id || frame.cursor || this.#cursor;
    this.#on.state('connected');
    if (!isGreeting) this.#on.frame(frame, this.#cursor);
  }

  #forget() {
    if (!this.#cursor) return;
    this.#cursor = '';
    this.#on.frame({ type: 'reset' }, '');
  }
}
