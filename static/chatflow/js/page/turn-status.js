import { element, setText } from './dom.js';
import { isEnded } from './turn-state.js';
import { duration, gettext, ngettext } from './words.js';

// Milliseconds after which it is said for how long a turn has waited.
const PATIENCE = 5000;

/** What a turn is doing at the moment, in a line; nothing once words come or it has ended. */
export class TurnStatus {
  #words = element('span', { className: 'turn__doing' });
  #time = element('span', { className: 'turn__time' });
  #bar = element('progress', { max: 100, hidden: true });
  #attempts = element('p', { className: 'turn__attempts', hidden: true });
  #line = element('p', { className: 'turn__line' });
  node = element('div', { className: 'turn__status' });
  #since = Date.now();
  #state = null;

  constructor() {
    const pulse = element('span', { className: 'turn__pulse', attributes: { 'aria-hidden': 'true' } });
    this.#line.append(pulse, this.#words, this.#time);
    this.#bar.setAttribute('aria-label', gettext('Progress'));
    this.node.append(this.#attempts, this.#line, this.#bar);
  }

  show(turn) {
    if (turn.state !== this.#state) this.#since = Date.now();
    this.#state = turn.state;
    // A bar that stands at nothing tells nothing, and words that come say enough.
    const isTelling = turn.progress > 0 && turn.progress < 100;
    const isWriting = turn.text && !isTelling && turn.steps.every(({ state }) => state !== 'running');
    this.node.hidden = isEnded(turn) || (isWriting && turn.attempts < 2);
    if (this.node.hidden) return;
    setText(this.#words, doing(turn));
    this.#bar.hidden = !isTelling;
    if (isTelling) this.#bar.value = turn.progress;
    this.#attempts.hidden = turn.attempts < 2;
    if (turn.attempts > 1) setText(this.#attempts, resumed(turn));
    this.tick();
  }

  tick() {
    const waited = Date.now() - this.#since;
    setText(this.#time, waited > PATIENCE ? duration(waited) : '');
  }
}

function doing({ state, queuePosition, message, text }) {
  if (state === 'sending') return gettext('Sending…');
  if (state === 'queued' && queuePosition) return gettext('Number {number} in the queue', { number: queuePosition });
  if (state === 'queued') return gettext('Waiting for its turn');
  return message || (text ? gettext('Writing…') : gettext('Working…'));
}

const resumed = ({ attempts }) => ngettext('Resumed after an interruption', 'Resumed after {count} interruptions', attempts - 1);
