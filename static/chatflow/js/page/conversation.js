import { byId } from './dom.js';
import { messageOf, openQuestion } from './past.js';
import { labelOf } from './questions.js';
import { ReadingPlace } from './reading-place.js';
import { reasonOf } from './reasons.js';
import { afterFrame, isEnded, newTurn, ofHistory } from './turn-state.js';
import { TurnView } from './turn-view.js';
import { UserMessage } from './user-message.js';

const NOTHING = { messages: [], awaiting: null, active_job: null };

/**
 * The conversation on the page: what the server's history says, and over it what the frames of running jobs say.
 * Everything has a key, so that what stands there already is changed and not drawn again.
 */
export class Conversation {
  #log = byId('conversation');
  #place = new ReadingPlace(this.#log, byId('to-end'));
  #moves;
  #onChange;
  #views = new Map();
  #turns = new Map();
  #waiting = new Map();
  #past = NOTHING;
  #isDrawing = false;
  /** The question that is open, or null. */
  awaiting = null;

  /**
   * @param {object} moves see chat-page.js
   * @param {() => void} onChange called after the conversation was drawn
   */
  constructor(moves, onChange) {
    this.#moves = moves;
    this.#onChange = onChange;
    setInterval(() => this.#views.forEach((view) => view.tick?.()), 1000);
  }

  /** Show nothing, before another one is shown; what runs goes on being known. */
  clear() {
    this.#views.clear();
    this.#waiting.clear();
    this.#turns = new Map([...this.#turns].filter(([jobId, turn]) => turn.jobId === jobId && !isEnded(turn)));
    this.#past = NOTHING;
    this.awaiting = null;
    // The welcome stays where it is: taken out and put back it would be painted anew, and so late.
    for (const node of this.#log.querySelectorAll(':scope > :not(#welcome)')) node.remove();
    this.#place.readFrom(null);
    this.#onChange();
  }

  /** Show what the server says was said. */
  take(past, { isNew = false } = {}) {
    this.#past = past;
    for (const message of past.messages) {
      const { turn } = message;
      if (turn?.job_id) this.#turns.set(turn.job_id, ofHistory(this.#turn(turn.job_id), turn));
    }
    // What was sent from here is in it by now.
    const stored = new Set(past.messages.map(({ job_id: jobId }) => jobId));
    for (const [key, { jobId }] of this.#waiting) if (jobId && stored.has(jobId)) this.#waiting.delete(key);
    this.#draw();
    if (isNew) this.#place.readFrom(this.#lastQuestion());
  }

  /** Show a message that is being sent; `key` names it until the server has given it a job. */
  add(key, message) {
    this.#waiting.set(key, { message, jobId: null });
    this.#turns.set(key, newTurn());
    this.#draw();
    this.#place.readFrom(this.#lastQuestion());
  }

  /** The message `key` has become a job. */
  started(key, jobId) {
    const waiting = this.#waiting.get(key);
    if (!waiting) return;
    this.#waiting.set(key, { ...waiting, jobId });
    this.#turns.set(jobId, { ...newTurn(jobId, 'queued'), ...this.#turns.get(jobId) });
    this.#turns.delete(key);
    this.#rename(`u:${key}`, `u:${jobId}`);
    this.#rename(`a:${key}`, `a:${jobId}`);
    this.#draw();
  }

  /** The message `key` was not taken: show why, or take it back. Returns whether it stood here. */
  refused(key, error) {
    const waiting = this.#waiting.get(key);
    if (!waiting) return false;
    if (!error) {
      this.#waiting.delete(key);
      this.#turns.delete(key);
    } else {
      this.#waiting.set(key, { ...waiting, isRefused: true });
      this.#turns.set(key, { ...newTurn(null, 'failed'), key, error: reasonOf(error), code: error.code });
    }
    this.#draw();
    return true;
  }

  /** What the user thinks of a job's answer: `up`, `down`, or null; and perhaps why. */
  rated(jobId, value, comment = '') {
    this.#turns.set(jobId, { ...this.#turn(jobId), feedback: value && { value, comment } });
    this.#draw();
  }

  /** A frame of a job's stream, of this conversation or another; false where one before it is missing. */
  frame(jobId, frame) {
    const turn = this.#turn(jobId);
    if (frame.seq > turn.seq + 1 && !isEnded(turn)) return false;
    const next = afterFrame(turn, frame);
    if (next === turn) return true;
    this.#turns.set(jobId, next);
    if (this.#views.has(`a:${jobId}`)) this.#drawSoon();
    return true;
  }

  /** Whether a message is under way that the server has given no job yet. */
  get isSending() {
    return this.sending.length > 0;
  }

  /** Whether a turn of this job stands on the page. */
  shows(jobId) {
    return this.#views.has(`a:${jobId}`);
  }

  /** Take back a message and all that came after it, before it is sent again. */
  cut(messageId) {
    const { messages } = this.#past;
    const index = messages.findIndex(({ id }) => id === messageId);
    if (index >= 0) this.#past = { ...this.#past, messages: messages.slice(0, index), awaiting: null };
  }

  /** The ids of the jobs that haven't ended, in their order; null where the server hasn't told it yet. */
  get running() {
    return this.#entries().filter(({ turn }) => turn && !isEnded(turn)).map(({ turn }) => turn.jobId);
  }

  /** The messages under way that the server has given no job yet: `{key, message}`. */
  get sending() {
    return [...this.#waiting].filter(([, { jobId, isRefused }]) => !jobId && !isRefused).map(([key, { message }]) => ({ key, message }));
  }

  /** Whether the server can do a failed job again. */
  canRetry(jobId) {
    return Boolean(this.#turns.get(jobId)?.can_retry);
  }

  /** The user's message that a job answers, or that waits or was refused under this key; null where there is none. */
  messageOf(jobId) {
    const sent = [...this.#waiting].find(([key, waiting]) => key === jobId || waiting.jobId === jobId);
    return messageOf(this.#past.messages, jobId) ?? sent?.[1].message ?? null;
  }

  #turn(jobId) {
    return this.#turns.get(jobId) ?? newTurn(jobId, 'queued');
  }

  /** All that is to be shown, in its order. */
  #entries() {
    const entries = [];
    const { messages, active_job: job } = this.#past;
    const open = [];
    // A form's answer is known by its looks, also where something else was said before it.
    let form = null;
    messages.forEach((message, index) => {
      const { role, job_id: jobId, id } = message;
      // What came of an earlier try stands before the one that is under way.
      if (!message.turn?.words) entries.push(...open.splice(0));
      if (role === 'user') {
        const label = labelOf(messages[index - 1]?.awaiting ?? form, message.content);
        entries.push({ key: `u:${jobId ?? id}`, message: { ...message, label } });
        // The error that stands with a message is that of its first try.
        const answering = message.turn?.job_id;
        if (answering) open.push({ key: `a:${answering}`, turn: this.#turn(answering) });
      } else {
        if (message.awaiting?.kind === 'form') form = message.awaiting;
        const canRegenerate = !job && Boolean(messageOf(messages, jobId)?.id);
        const turn = { ...this.#turn(jobId), answer: message, can_regenerate: canRegenerate };
        if (!message.turn) turn.state = 'completed';
        entries.push({ key: `a:${jobId ?? id}`, turn });
      }
    });
    entries.push(...open);
    for (const [key, { message, jobId }] of this.#waiting) {
      const name = jobId ?? key;
      entries.push({ key: `u:${name}`, message }, { key: `a:${name}`, turn: this.#turns.get(name) });
    }
    return entries;
  }

  #drawSoon() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    // In a tab that nobody sees there are no animation frames.
    const soon = document.hidden ? (draw) => setTimeout(draw, 100) : requestAnimationFrame;
    soon(() => {
      this.#isDrawing = false;
      this.#draw();
    });
  }

  #draw() {
    const entries = this.#entries();
    const isBusy = entries.some(({ turn }) => turn && !isEnded(turn));
    const keys = new Set(entries.map(({ key }) => key));
    for (const [key, view] of this.#views) {
      if (keys.has(key)) continue;
      view.node.remove();
      this.#views.delete(key);
    }
    // A message that was answered by itself leaves the question before it open.
    this.awaiting = openQuestion(this.#past, entries.at(-1)?.turn);
    const asking = this.awaiting && entries.findLast(({ turn }) => turn?.answer?.awaiting);
    let before = null;
    entries.forEach((entry, index) => {
      const view = this.#view(entry);
      const isLast = index === entries.length - 1;
      if (entry.message) {
        const canEdit = !isBusy && Boolean(entry.message.id) && !isAnswer(entry.message);
        view.show(entry.message, { canEdit });
      } else {
        view.show(entry.turn, { isLast, awaiting: entry === asking ? entry.turn.answer.awaiting : null });
      }
      this.#put(view.node, before);
      before = view.node;
    });
    byId('welcome').hidden = entries.length > 0 || this.#log.dataset.loading === 'true';
    this.#place.keep();
    this.#onChange();
  }

  #view(entry) {
    const known = this.#views.get(entry.key);
    if (known) return known;
    const view = entry.message ? new UserMessage(this.#moves) : new TurnView(this.#moves);
    this.#views.set(entry.key, view);
    return view;
  }

  /** Move nothing that stands where it should: a moved node loses the focus. */
  #put(node, before) {
    const wanted = before ? before.nextSibling : byId('welcome').nextSibling;
    if (wanted !== node) this.#log.insertBefore(node, wanted);
  }

  #rename(from, to) {
    const view = this.#views.get(from);
    if (!view) return;
    this.#views.delete(from);
    // What came by another way meanwhile gives place.
    this.#views.get(to)?.node.remove();
    this.#views.set(to, view);
  }

  #lastQuestion() {
    return [...this.#log.querySelectorAll(':scope > .message--user')].at(-1) ?? null;
  }
}

/** Whether a message answered a form or an approval, and is no text to be changed. */
const isAnswer = ({ label, content }) => label !== undefined && label !== content;
