import { readPage, takeOver } from './live-parts.js';
import { Replay, clockOf, placeOf } from './replay.js';

// Milliseconds between two looks at a running job's page: with its stream no look comes without news.
const PAUSE = 1000;
const POLL = 2000;

function start(page) {
  offerCopies(page);
  const player = page.dataset.frames && page.querySelector('.jp-scrub') ? new Player(page) : null;
  if (page.dataset.finished === 'no') new Live(page, player).follow();
}

function offerCopies(page) {
  if (!navigator.clipboard) return;
  for (const button of page.querySelectorAll('[data-copy], [data-copy-from]')) {
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener('click', async () => {
      const { copy, copyFrom } = button.dataset;
      const text = copy ? document.getElementById(copy).textContent : await fetch(copyFrom).then((answer) => answer.text());
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
      setTimeout(() => (button.textContent = label), 2000);
    });
  }
}

/** The scrubber, and the turn as it was at its moment. */
class Player {
  replay = new Replay();
  #page;
  #range;
  #moment;
  #button;
  #speed;
  #loading = null;
  #timer = null;
  #markdown = null;
  /** Whether the latest moment is shown, also when there are later ones. */
  #follows = true;

  constructor(page) {
    this.#page = page;
    const box = page.querySelector('.jp-scrub');
    this.#range = box.querySelector('input');
    this.#moment = box.querySelector('output');
    this.#button = box.querySelector('button');
    this.#speed = box.querySelector('select');
    box.hidden = false;
    this.#range.addEventListener('input', () => this.#seek(Number(this.#range.value)));
    this.#button.addEventListener('click', () => (this.#timer ? this.pause() : this.play()));
    // Read before it is wanted, so that the first touch of the scrubber shows something.
    this.load();
  }

  /** Read all frames that there are. */
  load() {
    this.#loading ??= this.#read();
    return this.#loading;
  }

  async #read() {
    const [{ MarkdownView }] = await Promise.all([import(this.#page.dataset.richText), this.#readFrames()]);
    this.#markdown = MarkdownView;
    this.draw();
  }

  async #readFrames() {
    for (;;) {
      const answer = await fetch(`${this.#page.dataset.frames}?after=${this.replay.last}`, { cache: 'no-store' });
      if (!answer.ok) return;
      const { frames, last } = await answer.json();
      this.replay.add(frames);
      if (!frames.length || this.replay.last >= last) return;
    }
  }

  /** Read what has come since. */
  async refresh() {
    await this.load();
    await this.#readFrames();
    this.draw();
  }

  /** Take in what has just come. */
  add(frames) {
    this.replay.add(frames);
    this.draw();
  }

  draw() {
    this.#range.max = String(Math.max(1, this.replay.length));
    if (this.#follows) this.#range.value = this.#range.max;
    this.#show();
  }

  async play() {
    await this.load();
    const { length } = this.replay;
    const from = Number(this.#range.value) >= length ? this.#beginning() : Number(this.#range.value);
    const began = performance.now();
    this.#follows = false;
    this.#label('Pause', true);
    const tick = () => {
      const at = from + (performance.now() - began) * Number(this.#speed.value);
      this.#range.value = String(Math.min(at, length));
      this.#show();
      if (at >= length) return this.#stop();
      this.#timer = requestAnimationFrame(tick);
    };
    tick();
  }

  pause() {
    cancelAnimationFrame(this.#timer);
    this.#stop();
  }

  /** Whoever replays wants to see the work: a long wait in the queue is passed over. */
  #beginning() {
    return Math.max(0, (this.replay.frames[0]?.at ?? 0) - 500);
  }

  #stop() {
    this.#timer = null;
    this.#follows = Number(this.#range.value) >= this.replay.length;
    this.#label('Play', false);
  }

  #label(name, isPlaying) {
    this.#button.setAttribute('aria-label', name);
    this.#button.classList.toggle('jp-play--on', isPlaying);
  }

  #seek(at) {
    if (this.#timer) this.pause();
    this.#follows = at >= this.replay.length;
    this.load().then(() => this.#show());
    this.#show();
  }

  #show() {
    const at = Number(this.#range.value);
    const of = `${clockOf(at)} of ${clockOf(this.replay.length)}`;
    this.#moment.textContent = of;
    this.#range.setAttribute('aria-valuetext', of);
    if (this.replay.frames.length) this.#showTurn(this.replay.turnAt(at));
    showMoment(this.#page.querySelector('.jp-bars'), this.#follows ? null : at);
  }

  #showTurn(turn) {
    const place = this.#page.querySelector('.jp-turn');
    const ended = Boolean(turn.answer || turn.error);
    place.querySelector('.jp-doing').hidden = ended;
    place.querySelector('.jp-line').textContent = turn.message || 'Waiting in the queue…';
    place.querySelector('progress').value = turn.progress;
    place.querySelector('.jp-end').hidden = !ended;
    place.querySelector('.jp-steps').replaceChildren(...turn.steps.map(stepItem));
    this.#showWords(place.querySelector('.jp-words'), turn.answer?.content || turn.text, !ended);
  }

  #showWords(place, text, growing) {
    if (!this.#markdown) {
      place.textContent = text;
      return;
    }
    if (!place.view) {
      place.view = new this.#markdown();
      place.classList.add('jp-words--rich');
      place.replaceChildren(place.view.node);
    }
    place.view.show(text, { growing });
  }
}

/** Draw a line through the bars at the moment that is replayed; none for null. */
function showMoment(bars, at) {
  const x = at === null ? null : placeOf(at, bars.dataset.marks);
  for (const drawing of bars.querySelectorAll('svg')) {
    let line = drawing.querySelector('.jp-now');
    if (x === null) {
      line?.remove();
      continue;
    }
    if (!line) {
      line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
      line.setAttribute('class', 'jp-now');
      line.setAttribute('y2', '12');
      drawing.append(line);
    }
    line.setAttribute('x1', x);
    line.setAttribute('x2', x);
  }
}

function stepItem({ name, state }) {
  const item = document.createElement('li');
  item.dataset.state = state;
  item.textContent = name;
  if (state !== 'done') {
    const word = document.createElement('em');
    word.textContent = state === 'running' ? 'running' : 'not finished';
    item.append(' ', word);
  }
  return item;
}

/** Follows a running job by its own stream, or, where there is none, by looking again. */
class Live {
  #page;
  #player;
  #source = null;
  #looked = 0;
  #timer = null;

  constructor(page, player) {
    this.#page = page;
    this.#player = player;
  }

  async follow() {
    await this.#player?.load();
    if (this.#page.dataset.stream && this.#player && 'EventSource' in globalThis) this.#listen();
    else this.#lookSoon(POLL);
  }

  #listen() {
    const { stream, sent } = this.#page.dataset;
    const source = new EventSource(`${stream}&last_event_id=${this.#player.replay.last}`);
    this.#source = source;
    source.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.seq) this.#player.add([{ ...frame, at: Date.parse(frame.updated_at) - Date.parse(sent) }]);
      if (frame.seq || frame.queue_position) this.#lookSoon(this.#isOver(frame) ? 0 : PAUSE);
    };
    source.onerror = () => {
      // The link may be too old by now, or this server has no streams: the next look brings another one.
      source.close();
      this.#source = null;
      this.#lookSoon(POLL);
    };
    // Bars grow while nothing is said, too.
    this.#lookSoon(POLL);
  }

  #isOver({ type }) {
    return ['completed', 'failed', 'timeout', 'cancelled'].includes(type);
  }

  /** Look at the page again, but not more often than every PAUSE. */
  #lookSoon(wait) {
    if (this.#timer && wait > 0) return;
    clearTimeout(this.#timer);
    const rest = wait === 0 ? 0 : Math.max(wait, PAUSE - (Date.now() - this.#looked));
    this.#timer = setTimeout(() => this.#look(), rest);
  }

  async #look() {
    this.#looked = Date.now();
    const fresh = await readPage('job-page').catch(() => null);
    this.#timer = null;
    if (fresh) {
      show(this.#page, fresh, Boolean(this.#player));
      if (fresh.dataset.finished === 'yes') return this.#end();
    }
    if (this.#source) return this.#lookSoon(POLL);
    await this.#player?.refresh();
    return this.follow();
  }

  async #end() {
    this.#source?.close();
    this.#page.dataset.finished = 'yes';
    await this.#player?.refresh();
  }
}

/** Take over what a fresh page has; what is open, or being typed, stays. */
function show(page, fresh, hasPlayer) {
  for (const name of ['stream', 'finished']) page.dataset[name] = fresh.dataset[name];
  takeOver(page, fresh, (part) => isInUse(part, hasPlayer, fresh));
  offerCopies(page);
}

function isInUse(part, hasPlayer, fresh) {
  // The player draws the turn itself, but the answer's actions and sources are the server's.
  if (part.dataset.live === 'turn') return hasPlayer && fresh.dataset.finished === 'no';
  const isTyping = part.contains(document.activeElement) && document.activeElement.matches('input, textarea');
  return isTyping || (part.dataset.live === 'acts' && part.querySelector('details[open]') && fresh.dataset.finished === 'no');
}

const root = document.getElementById('job-page');
if (root) start(root);
