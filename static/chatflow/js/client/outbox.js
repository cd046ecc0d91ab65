import { ChatError } from './errors.js';
import { hold, isTaken, webLocks } from './locks.js';
import { parseObject } from './request.js';
import { Pause, backoff } from './timing.js';

// The server knows a key for 24 hours; whatever was tried before may have arrived.
const KNOWN = 23 * 3_600_000;
// Of so many sent messages other tabs can hear.
const REMEMBERED = 100;
const WAITING = new Set([408, 425, 429, 502, 503]);

/** Whether a send that failed like this may do better later. */
export const isPassing = ({ code, status, jobId }) =>
  code === 'network' || code === 'in_progress' || WAITING.has(status) || (status === 504 && !jobId);

/**
 * Messages that wait for the network, in order, over reloads, in one store for all tabs; each is sent with a key,
 * so that it runs once, whoever sends it and however often. A refused one is kept until its sender, or a page in
 * the sender's place, has been told.
 */
export class Outbox {
  #storage;
  #post;
  #on;
  #senders = new Map();
  #pause = new Pause();
  #sending = null;
  #count = 0;

  /**
   * @param {Storage} storage
   * @param {(message: object) => Promise<object>} post sends one
   * @param {object} on `change(messages)`; `refused(message, error)`: a message whose sender is gone; true where
   *   somebody has taken it; `late(answer)`: to a message that was taken back while it was under way
   */
  constructor(storage, post, on) {
    this.#storage = storage;
    this.#post = post;
    this.#on = on;
  }

  /** What waits: `{key, session_id, message, options, tried}`, in order. */
  get messages() {
    return this.#entries.filter(({ refusal }) => !refusal);
  }

  /** Put a message in; resolves with the server's answer to it, whenever that comes. */
  add(message) {
    this.#count += 1;
    const place = `outbox ${Date.now()} ${String(this.#count).padStart(6, '0')} ${message.key}`;
    const entry = { ...message, place };
    const release = this.#locks ? hold(this.#locks, this.#lockOf(entry.key)) : () => {};
    const answer = new Promise((resolve, reject) => this.#senders.set(entry.key, { entry, resolve, reject, release }));
    this.#keep(entry);
    this.flush();
    return answer;
  }

  /** Take a message out without having sent it. */
  remove(key, error = new ChatError('The message was taken back', { code: 'aborted' })) {
    const entry = this.#find(key);
    if (entry) this.#forget(entry);
    this.#senderOf(key)?.reject(error);
  }

  /** Leave a message where it is, though its sender waits no more for the answer. */
  leave(key) {
    this.#senderOf(key);
  }

  /** Send all that waits, now. */
  flush() {
    this.#pause.wake();
    // Nothing is there. What another client puts in while this one looked for more, both would send.
    if (!this.#sending && !this.#senders.size && !this.#entries.length) return Promise.resolve();
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
      if (this.#senders.size) this.#answerSenders();
    });
    return this.#sending;
  }

  get #entries() {
    return this.#storage.names('outbox ').map((name) => parseObject(this.#storage.get(name))).filter(Boolean);
  }

  /** What only this tab knows of needs no lock. */
  get #locks() {
    return this.#storage.isShared ? webLocks() : undefined;
  }

  #lockOf(name) {
    return `${this.#storage.prefix}outbox ${name}`;
  }

  async #sendAll() {
    await this.#inTurn(() => this.#handOverAll());
    for (let tries = 0; this.messages.length; ) {
      const error = await this.#inTurn(() => this.#sendFirst());
      if (error?.status === 401) return;
      tries = error ? tries + 1 : 0;
      if (error) await this.#pause.wait(Math.max(backoff(tries), (error.retryAfter ?? 0) * 1000));
    }
  }

  /** Two tabs of a browser must not send the same messages in two orders; but none waits while another one pauses. */
  #inTurn(work) {
    return this.#locks ? this.#locks.request(this.#lockOf(''), work) : work();
  }

  async #sendFirst() {
    const [first] = this.messages;
    return first ? this.#send(first) : null;
  }

  /** Resolves with the error that keeps the message waiting, or with null where it waits no more. */
  async #send(entry) {
    if (Date.now() - entry.tried > KNOWN) {
      return this.#refuse(entry, new ChatError('The message is too old to be sent again', { code: 'expired' }));
    }
    if (!entry.tried) this.#keep({ ...entry, tried: Date.now() });
    try {
      const answer = await this.#post(entry);
      const sender = this.#senderOf(entry.key);
      if (sender || this.#find(entry.key) || this.#wasSent(entry.key)) {
        this.#noteSent(entry.key);
        this.#forget(entry);
        sender?.resolve(answer);
      } else {
        this.#on.late(answer);
      }
      return null;
    } catch (error) {
      return isPassing(error) || error.status === 401 ? error : this.#refuse(entry, error);
    }
  }

  async #refuse(entry, error) {
    // Taken back meanwhile: its words are where they can be changed.
    if (!this.#senders.has(entry.key) && !this.#find(entry.key)) return null;
    const refused = { ...entry, refusal: { ...error, message: error.message } };
    this.#keep(refused);
    await this.#handOver(refused);
    return null;
  }

  async #handOverAll() {
    for (const entry of this.#entries) if (entry.refusal) await this.#handOver(entry);
  }

  /** Tell whose message was refused; a sender in another tab finds it when its turn comes. */
  async #handOver(entry) {
    const { refusal, place, tried, ...message } = entry;
    const error = new ChatError(refusal.message, refusal);
    const sender = this.#senderOf(entry.key);
    sender?.reject(error);
    const isElsewhere = !sender && this.#locks && (await isTaken(this.#locks, this.#lockOf(entry.key)));
    if (sender || (!isElsewhere && this.#on.refused(message, error))) this.#forget(entry);
  }

  #find(key) {
    return this.messages.find((message) => message.key === key);
  }

  #answerSenders() {
    const entries = this.#entries;
    const waiting = new Set(entries.map(({ key }) => key));
    for (const [key, sender] of this.#senders) {
      if (waiting.has(key)) continue;
      if (this.#wasSent(key)) this.#askFor(sender);
      else this.remove(key);
    }
    // What another client was refused.
    if (entries.some(({ key, refusal }) => refusal && this.#senders.has(key))) this.flush();
  }

  /**
   * Who waits here for what another tab has sent is told the same: the key brings the answer again. It is not put
   * back into the store, or other tabs would send it again and again.
   */
  async #askFor(sender) {
    if (sender.isAsking) return;
    sender.isAsking = true;
    const error = await this.#send({ ...sender.entry, tried: Date.now() });
    sender.isAsking = false;
    if (!error || !this.#senders.has(sender.entry.key)) return;
    this.#keep(sender.entry);
    this.flush();
  }

  /** Each by itself: a list could be written by a tab that doesn't see yet what another one has just put in. */
  #noteSent(key) {
    this.#storage.set(`sent ${Date.now()} ${key}`, key);
    for (const name of this.#storage.names('sent ').slice(0, -REMEMBERED)) this.#storage.set(name, '');
  }

  #wasSent(key) {
    return this.#storage.names('sent ').some((name) => this.#storage.get(name) === key);
  }

  #senderOf(key) {
    const sender = this.#senders.get(key);
    this.#senders.delete(key);
    sender?.release();
    return sender;
  }

  #keep(entry) {
    this.#storage.set(entry.place, JSON.stringify(entry));
    this.#on.change(this.messages);
  }

  #forget({ place }) {
    this.#storage.set(place, '');
    this.#on.change(this.messages);
  }
}
