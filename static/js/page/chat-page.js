import { AsyncChatClient } from '../async-chat.js';
import { Composer } from './composer.js';
import { displayError, displayMessage, retireReplies } from './messages.js';
import { SessionStore } from './session-store.js';
import { Sidebar } from './sidebar.js';
import { showTranscript } from './transcript.js';
import { TurnQueue } from './turn-queue.js';
import { Turn } from './turn.js';

const byId = (id) => document.getElementById(id);

// What an action says of itself, where it stands.
const REFUSALS = new Set(['invalid', 'action_used', 'action_expired']);
// What can't be done by trying again.
const OVER = new Set(['approval_decided', 'approval_expired', 'question_closed', 'not_found']);

/** The demo page: a conversation, restored from the server whenever the page is opened. */
class ChatPage {
  #root = byId('chat');
  #store = new SessionStore(this.#root.dataset.user);
  #client = this.#newClient();
  #turns = new TurnQueue();
  #composer = new Composer((message) => this.#send(message));
  #sidebar = new Sidebar({
    onStart: (title, workflow) => this.#send(title, { workflow }),
    onOpen: (sessionId) => this.#open(sessionId),
  });
  #moves = {
    reply: (answer, label) => this.#send(answer, { label }),
    act: (action, data) => this.#act(action, data),
    decide: (awaiting, decision) => this.#decide(awaiting, decision),
  };

  start() {
    for (const chip of document.querySelectorAll('#suggestions [data-message]')) {
      chip.addEventListener('click', () => this.#send(chip.dataset.message));
    }
    byId('new-conversation').addEventListener('click', () => this.#open(null));
    byId('cancel').addEventListener('click', () => this.#turns.cancelFirst());
    byId('sign-out')?.addEventListener('submit', () => this.#store.forget());
    this.#open(this.#store.load());
  }

  /** Show another session, or with null a new one; what runs in the old one goes on without the page. */
  async #open(sessionId) {
    this.#turns.leave();
    this.#client = this.#newClient(sessionId);
    byId('conversation').replaceChildren(byId('welcome'));
    byId('welcome').hidden = Boolean(sessionId);
    this.#root.dataset.session = this.#client.sessionId;
    this.#sidebar.close();
    if (sessionId) await this.#restore();
    else this.#store.forget();
    this.#composer.focus();
    this.#listRecent();
  }

  async #restore() {
    const client = this.#client;
    try {
      const past = await client.history();
      if (client !== this.#client) return;
      this.#store.save(client.sessionId);
      byId('welcome').hidden = past.messages.length > 0 || Boolean(past.active_job);
      showTranscript(past, this.#moves);
      if (past.active_job) this.#resume(past.active_job);
    } catch (error) {
      if (client !== this.#client) return;
      if (error.status === 404) return this.#open(null);
      displayError(error, { label: 'Try again', onClick: () => this.#open(client.sessionId) });
    }
  }

  async #resume(job) {
    await this.#run((client) => client.resume(job));
    // A message that waited behind this one has become the active job.
    const client = this.#client;
    const { active_job: next } = await client.history().catch(() => ({}));
    const isIdle = client === this.#client && this.#turns.isEmpty;
    if (isIdle && next && next.job_id !== job.job_id) this.#open(client.sessionId);
  }

  #send(message, { label = message, workflow } = {}) {
    byId('welcome').hidden = true;
    retireReplies();
    displayMessage(label, { role: 'user' });
    this.#store.save(this.#client.sessionId);
    this.#dispatch(message, { workflow, idempotencyKey: crypto.randomUUID?.() });
    this.#composer.focus();
  }

  /** Send, or send again: with the same key, the server does at most once what it may have begun. */
  #dispatch(message, options) {
    // Words stream from the background only.
    const begin = (client) => client.sendMessage(message, { ...options, async: true });
    return this.#run(begin, {
      again: (error) => {
        const idempotencyKey = error.jobId ? crypto.randomUUID?.() : options.idempotencyKey;
        return this.#dispatch(message, { ...options, idempotencyKey });
      },
    });
  }

  #act({ id, label, message }, data) {
    // Where an answer got lost, using it again brings the same one.
    const options = { data, async: true, idempotencyKey: id };
    return this.#use(message ?? label, (client) => client.act(id, options));
  }

  #decide({ approval_id: id }, decision) {
    const verdict = decision.approved ? 'Approved' : 'Rejected';
    const label = decision.reason ? `${verdict}: ${decision.reason}` : `${verdict}.`;
    return this.#use(label, (client) => client.approve(id, decision));
  }

  /** Do what the server offered; resolves with the error that kept it from it, or null. */
  async #use(label, begin) {
    retireReplies();
    const bubble = displayMessage(label, { role: 'user' });
    const isRefusal = ({ code, jobId }) => !jobId && REFUSALS.has(code);
    const error = await this.#run(begin, { isRefusal });
    if (!error || error.jobId) return null;
    bubble.remove();
    return error;
  }

  async #run(begin, { again, isRefusal = () => false } = {}) {
    const turn = new Turn(this.#newClient(this.#client.sessionId), () => this.#turns.draw());
    const remedy = (error) => this.#remedy(error, turn, again);
    this.#turns.add(turn);
    const error = await turn.settle(begin(turn.client), { moves: this.#moves, remedy, isRefusal });
    this.#turns.remove(turn);
    // The next message is on its way already: what this turn asks or offers isn't open any more.
    if (!this.#turns.isEmpty) retireReplies();
    this.#listRecent();
    return error;
  }

  #remedy(error, turn, again) {
    if (OVER.has(error.code)) return undefined;
    if (error.status === 401) return { label: 'Sign in again', onClick: () => location.reload() };
    if (error.code === 'connection_failed') {
      return { label: 'Reconnect', onClick: () => this.#resume({ job_id: turn.jobId }) };
    }
    return again && { label: 'Try again', onClick: () => again(error) };
  }

  async #listRecent() {
    const answer = await this.#client.jobs().catch(() => null);
    if (answer) this.#sidebar.showRecent(answer.jobs ?? answer.data ?? [], this.#client.sessionId);
  }

  #newClient(sessionId) {
    // The page waits for a server that is being restarted: for about a minute.
    const urls = JSON.parse(this.#root.dataset.urls);
    const client = new AsyncChatClient('', null, { urls, maxFailures: 20 });
    if (sessionId) client.sessionId = sessionId;
    return client;
  }
}

new ChatPage().start();
