import { answerOf } from './answer.js';
import { Endpoints } from './endpoints.js';
import { ChatError } from './errors.js';
import { followJob } from './job-follower.js';
import { Listeners } from './listeners.js';
import { Outbox } from './outbox.js';
import { PendingWork } from './pending-work.js';
import { cookie, requestJSON } from './request.js';
import { newSessionId } from './session-id.js';
import { Storage } from './storage.js';
import { postForm } from './upload.js';
import { onReturn, watchStream } from './watch.js';
import { WORKER } from './worker-address.js';

export { ChatError };

// What every message asks for.
const FLAGS = { actions: true, memory: true, intelligent_rag: true };
// Whole words only: "address" and "news" ask for nothing to be made.
const WORK = /(?<![\p{L}\p{N}_])(create|add|make|new|generate|build|import|invoices?)(?![\p{L}\p{N}_])/iu;

/**
 * Sends chat messages and follows the workflows that they start.
 *
 * Sends are independent of each other: a second one leaves the first one pending. Every rejection
 * is a ChatError, with `code` and `status`.
 */
export class AsyncChatClient extends Listeners {
  #endpoints;
  #tuning;
  #scope;
  #worker;
  #storage;
  #outbox;
  #stopListening = null;
  #pending = new PendingWork();

  /**
   * @param {string} apiBaseUrl where the API lives; empty for this page's own site
   * @param {string|null} authToken Bearer token; null for the session cookie
   * @param {object} [options]
   * @param {string} [options.path] the path of the API there, /ai-demo/ by default
   * @param {Object<string, string>} [options.urls] endpoints that are elsewhere, by name
   * @param {number} [options.pollInterval] milliseconds between two looks at the status
   * @param {number} [options.maxFailures] failures in a row after which a way is given up
   * @param {number} [options.quietTimeout] milliseconds without a frame until the status is asked
   * @param {number} [options.reopenDelay] milliseconds until a refused stream is opened again
   * @param {string} [options.user] whose drafts, outbox and stream these are, where several people use a browser
   * @param {string|(() => SharedWorker)|null} [options.worker] the address of stream-worker.js, if it isn't beside
   *   this module, or what makes a SharedWorker of it; null for none
   */
  constructor(apiBaseUrl = '', authToken = null, { path, urls = {}, user = '', worker = WORKER, ...tuning } = {}) {
    super();
    this.#scope = `${apiBaseUrl} ${user}`;
    this.#worker = worker;
    this.#storage = new Storage(`async-chat ${this.#scope} `);
    this.#outbox = new Outbox(this.#storage, (message) => this.#deliver(message), {
      change: (messages) => this.notify('outbox', messages),
      refused: (message, error) => this.notify('refused', message, error),
      late: ({ job_id: jobId }) => jobId && this.cancel(jobId).catch(() => {}),
    });
    this.apiBaseUrl = apiBaseUrl;
    this.authToken = authToken;
    this.sessionId = newSessionId();
    this.#endpoints = new Endpoints(apiBaseUrl, urls, path);
    this.#tuning = { pollInterval: 2000, maxFailures: 3, quietTimeout: 15000, reopenDelay: 1000, ...tuning };
  }

  getAuthHeaders() {
    const headers = { Accept: 'application/json' };
    if (this.authToken) headers.Authorization = `Bearer ${this.authToken}`;
    // This site's CSRF token is no other site's business.
    else if (!this.apiBaseUrl && cookie('csrftoken')) headers['X-CSRFToken'] = cookie('csrftoken');
    return headers;
  }

  /**
   * Send a message; resolves with `{success, response, actions, sources, session_id, job_id,
   * awaiting?, metadata?}`, sync or async.
   *
   * @param {string} message
   * @param {object} [options] what the server takes, and:
   * @param {boolean|"auto"} [options.async] in the background; "auto" lets the server decide
   * @param {AbortSignal} [options.signal] ends the waiting; cancel() ends the work
   * @param {string} [options.idempotencyKey] makes it safe to send the same message again
   */
  sendMessage(message, options = {}) {
    return this.#start('send', undefined, { message, session_id: this.sessionId, async: false, ...FLAGS }, options);
  }

  /**
   * Use an action that this session was offered: once. Resolves as sendMessage() does.
   *
   * @param {string} actionId the action's `id`
   * @param {object} [options] `data`: what was filled in, for a form; and as for sendMessage()
   */
  act(actionId, options = {}) {
    return this.#start('action', undefined, { action_id: actionId, session_id: this.sessionId, async: false }, options);
  }

  /**
   * Decide what a workflow asks to have approved; resolves with what the workflow goes on to say.
   *
   * @param {string} approvalId `awaiting.approval_id`
   * @param {object} decision `approved`; `reason`; `answer`, where something is to be filled in; `signal`
   */
  approve(approvalId, decision) {
    return this.#start('approval', approvalId, {}, decision);
  }

  /** What waits for the user's approval, in all sessions. */
  approvals() {
    return this.#request('approvals');
  }

  /** Does the message ask for work that is worth a background job? */
  shouldUseAsync(message) {
    return WORK.test(message);
  }

  /** Send in the background what looks like work, and let the server decide about the rest. */
  sendSmart(message, options = {}) {
    return this.sendMessage(message, { ...options, async: this.shouldUseAsync(message) || 'auto' });
  }

  /** Follow the job that an async send was answered with. */
  handleAsyncResponse(data, { signal } = {}) {
    return this.#pending.run((aborted) => this.#follow(data, aborted), signal);
  }

  /** Follow a job again, say after a reload: by its id, or by what the server said of it. */
  resume(job, options = {}) {
    return this.handleAsyncResponse(typeof job === 'string' ? { job_id: job } : job, options);
  }

  /** Stop a job's work; resolves with its status. Harmless after its end. */
  async cancel(jobId) {
    return (await this.#request('cancel', jobId, { method: 'POST' })).data;
  }

  /** Do a failed job again, where its turn says `can_retry`: as another job. Resolves as sendMessage() does. */
  retry(jobId, options = {}) {
    return this.#start('retry', jobId, {}, options);
  }

  /** A session's messages, its running job and its open question. */
  history(sessionId = this.sessionId) {
    return this.#request('history', sessionId);
  }

  /**
   * Send a message, as soon as that is possible: what can't be sent waits in the outbox, also over a reload,
   * and is run once. Resolves as sendMessage() does; the words stream meanwhile.
   *
   * @param {string} message may be empty where there are files
   * @param {object} [options] `files`: ids of documents; `edits`: the id of the own message that this one
   *   takes the place of; `sessionId`; `signal`, `idempotencyKey`; and what the server takes
   */
  async send(message, { signal, idempotencyKey: key = newSessionId(), sessionId = this.sessionId, ...options } = {}) {
    this.#listen();
    const entry = { key, session_id: sessionId, message, options: { async: true, ...options } };
    return this.#pending.run(async (aborted) => {
      if (aborted.aborted) throw aborted.reason;
      const takeBack = () => this.#outbox.remove(key, aborted.reason);
      // disconnect() and a reload leave the message where it is; its sender's own signal takes it back.
      signal?.addEventListener('abort', takeBack);
      try {
        const data = await Promise.race([this.#outbox.add(entry), rejection(aborted)]);
        return data.async ? await this.#follow(data, aborted) : answerOf(data, data.job_id, sessionId);
      } finally {
        signal?.removeEventListener('abort', takeBack);
        this.#outbox.leave(key);
      }
    }, signal);
  }

  /** What waits to be sent: `{key, session_id, message, options}`, in order. */
  get waiting() {
    return this.#outbox.messages;
  }

  /** Send what waits, now; to be called once after a reload, when onRefused is set. */
  flush() {
    this.#listen();
    return this.#outbox.flush();
  }

  /** Take a waiting message back, by its `key`. */
  takeBack(key) {
    this.#outbox.remove(key);
  }

  /** What was typed in a session and not sent. */
  draft(sessionId = this.sessionId) {
    return this.#storage.get(`draft ${sessionId}`);
  }

  /** Keep what is being typed; an empty text is forgotten. */
  saveDraft(text, sessionId = this.sessionId) {
    this.#storage.set(`draft ${sessionId}`, text);
  }

  /** Put words that were not sent behind a draft; returns it with them. */
  addToDraft(text, sessionId = this.sessionId) {
    const draft = [this.draft(sessionId), text].filter(Boolean).join('\n\n');
    this.saveDraft(draft, sessionId);
    return draft;
  }

  /** The user's conversations, a page of them: `{sessions, next}`. `options`: `limit`, `cursor`, `q`. */
  sessions(options = {}) {
    const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null && value !== '');
    return this.#request('sessions', undefined, { query: new URLSearchParams(Object.fromEntries(given)) });
  }

  /** Give a conversation a title of the user's own; with an empty one it is called as before. */
  renameSession(sessionId, title) {
    return this.#patch(sessionId, { title });
  }

  pinSession(sessionId, pinned = true) {
    return this.#patch(sessionId, { pinned });
  }

  markRead(sessionId = this.sessionId) {
    return this.#patch(sessionId, { read: true });
  }

  deleteSession(sessionId) {
    return this.#request('session', sessionId, { method: 'DELETE' });
  }

  /** Say of an answer that it was good (`up`) or bad (`down`), or take that back (null). */
  feedback(jobId, value, comment) {
    return this.#request('feedback', jobId, { method: 'POST', body: JSON.stringify({ value, comment }) });
  }

  /**
   * Upload a file of a conversation; resolves with its document, whose `id` a send takes in `files`.
   *
   * @param {File|Blob} file
   * @param {object} [options] `sessionId`; `onProgress(part)`, from 0 to 1; `signal`
   */
  async upload(file, { onProgress, sessionId = this.sessionId, signal } = {}) {
    const form = new FormData();
    form.append('file', file);
    form.append('session_id', sessionId);
    const work = (aborted) =>
      postForm(this.#endpoints.of('upload'), form, { headers: this.getAuthHeaders(), signal: aborted, onProgress });
    return (await this.#pending.run(work, signal)).document;
  }

  /**
   * Take all that happens to the user, in this tab or on another device, over one connection for all tabs.
   * Call it before sessions(), so that nothing falls between.
   *
   * @param {object} callbacks `onSession(session)`, `onDeleted(sessionId)`, `onReset()`: load everything anew,
   *   `onJob(frame, jobId)`, `onConnection(state)`: connected, reconnecting, offline, signed-out, unsupported
   * @returns {() => void} ends it
   */
  watch(callbacks) {
    // Relative addresses mean another place in a worker.
    const { location } = globalThis;
    const address = this.#endpoints.of('stream_all');
    const url = location ? new URL(address, location.href).href : address;
    const headers = this.getAuthHeaders();
    const key = `${url} ${this.#scope} ${headers.Authorization ?? ''}`;
    return watchStream({ source: { url, headers }, key, worker: this.#worker }, callbacks);
  }

  /** The user's latest jobs. */
  jobs() {
    return this.#request('jobs');
  }

  /** Stop waiting: whatever is pending rejects with "Disconnected". The jobs themselves go on, and what waits is kept. */
  disconnect() {
    this.#stopListening?.();
    this.#stopListening = null;
    this.#pending.abort(new ChatError('Disconnected', { code: 'disconnected' }));
  }

  /** Post what starts a job, and wait for the job's answer. */
  #start(name, id, fields, { signal, idempotencyKey, ...options }) {
    const body = JSON.stringify({ ...fields, ...options });
    const headers = idempotencyKey ? { 'Idempotency-Key': idempotencyKey } : {};
    const work = async (aborted) => {
      const data = await this.#request(name, id, { method: 'POST', body, headers, signal: aborted });
      return data.async ? this.#follow(data, aborted) : answerOf(data, data.job_id, this.sessionId);
    };
    return this.#pending.run(work, signal);
  }

  /** Post a message of the outbox. */
  async #deliver({ key, session_id, message, options }) {
    const body = JSON.stringify({ message, session_id, ...FLAGS, ...options });
    try {
      return await this.#request('send', undefined, { method: 'POST', body, headers: { 'Idempotency-Key': key } });
    } catch (error) {
      if (error.status === 401) this.notify('signedOut');
      throw error;
    }
  }

  /** The network is back: what waits can go. */
  #listen() {
    this.#stopListening ??= onReturn(() => this.#outbox.flush());
  }

  #patch(sessionId, fields) {
    return this.#request('session', sessionId, { method: 'PATCH', body: JSON.stringify(fields) });
  }

  async #follow(data, signal) {
    const job = { ...data, ...this.#linksOf(data) };
    const headers = () => this.getAuthHeaders();
    // Without a signed link a token has to come along.
    const needsHeaders = Boolean(this.authToken && !data.stream_url);
    const last = await followJob(job, { ...this.#tuning, signal, headers, needsHeaders, listeners: this });
    return answerOf(last, job.job_id, data.session_id ?? this.sessionId);
  }

  /** Where the job can be followed. */
  #linksOf({ job_id: jobId, stream_url, status_url }) {
    const of = (name) => this.#endpoints.of(name, jobId);
    return { stream_url: stream_url || of('stream'), status_url: status_url || of('status') };
  }

  #request(name, id, { headers = {}, query = '', ...init } = {}) {
    const type = init.body ? { 'Content-Type': 'application/json' } : {};
    const allHeaders = { ...this.getAuthHeaders(), ...type, ...headers };
    const url = this.#endpoints.of(name, id) + (String(query) && `?${query}`);
    return requestJSON(url, { ...init, headers: allHeaders });
  }
}

/** A promise that never resolves, and rejects with the signal's reason. */
function rejection(signal) {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}
