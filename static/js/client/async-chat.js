import { answerOf } from './answer.js';
import { Endpoints } from './endpoints.js';
import { ChatError } from './errors.js';
import { followJob } from './job-follower.js';
import { Listeners } from './listeners.js';
import { PendingWork } from './pending-work.js';
import { cookie, requestJSON } from './request.js';
import { newSessionId } from './session-id.js';

export { ChatError };

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
  #pending = new PendingWork();

  /**
   * @param {string} apiBaseUrl where the API lives; empty for this page's own site
   * @param {string|null} authToken Bearer token; null for the session cookie
   * @param {object} [options]
   * @param {Object<string, string>} [options.urls] endpoints that are elsewhere, by name
   * @param {number} [options.pollInterval] milliseconds between two looks at the status
   * @param {number} [options.maxFailures] failures in a row after which a way is given up
   * @param {number} [options.quietTimeout] milliseconds without a frame until the status is asked
   * @param {number} [options.reopenDelay] milliseconds until a refused stream is opened again
   */
  constructor(apiBaseUrl = '', authToken = null, { urls = {}, ...tuning } = {}) {
    super();
    this.apiBaseUrl = apiBaseUrl;
    this.authToken = authToken;
    this.sessionId = newSessionId();
    this.#endpoints = new Endpoints(apiBaseUrl, urls);
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
    const flags = { async: false, actions: true, memory: true, intelligent_rag: true };
    return this.#start('send', undefined, { message, session_id: this.sessionId, ...flags }, options);
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

  /** A session's messages, its running job and its open question. */
  history(sessionId = this.sessionId) {
    return this.#request('history', sessionId);
  }

  /** The user's latest jobs. */
  jobs() {
    return this.#request('jobs');
  }

  /** Stop waiting: whatever is pending rejects with "Disconnected". The jobs themselves go on. */
  disconnect() {
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

  async #follow(data, signal) {
    const job = { ...data, ...this.#linksOf(data) };
    const headers = () => this.getAuthHeaders();
    const last = await followJob(job, { ...this.#tuning, signal, headers, listeners: this });
    return answerOf(last, job.job_id, data.session_id ?? this.sessionId);
  }

  /** Where the job can be followed; without a stream it is polled. */
  #linksOf({ job_id: jobId, stream_url, status_url }) {
    // Where there is no signed link, a token can't come along: EventSource sends no headers.
    const stream = this.authToken ? null : this.#endpoints.of('stream', jobId);
    return { stream_url: stream_url || stream, status_url: status_url || this.#endpoints.of('status', jobId) };
  }

  #request(name, id, { headers = {}, ...init } = {}) {
    const type = init.body ? { 'Content-Type': 'application/json' } : {};
    const allHeaders = { ...this.getAuthHeaders(), ...type, ...headers };
    return requestJSON(this.#endpoints.of(name, id), { ...init, headers: allHeaders });
  }
}
