import { afterFrame, newTurn } from '../page/turn-state.js';

// So many frames apart the turn is kept, so that a moment is found without all frames before it.
const KEPT_EVERY = 100;

/** A job's stream, as it came: what the chat page showed at any moment. Each frame has `at`, the milliseconds since the message. */
export class Replay {
  frames = [];
  #kept = [newTurn(null, 'queued')];

  /** Take in the next frames of the stream; those that are there already are left out. */
  add(frames) {
    const last = this.frames.at(-1)?.seq ?? 0;
    this.frames.push(...frames.filter(({ seq }) => seq > last));
  }

  /** The `seq` of the last frame. */
  get last() {
    return this.frames.at(-1)?.seq ?? 0;
  }

  /** When the last frame came. */
  get length() {
    return this.frames.at(-1)?.at ?? 0;
  }

  /** The turn as it was shown `at` milliseconds after the message. */
  turnAt(at) {
    return this.#turnAfter(this.#countUpto(at));
  }

  #turnAfter(count) {
    for (let next = this.#kept.length; next * KEPT_EVERY <= count; next += 1) {
      this.#kept.push(this.#show(this.#kept[next - 1], (next - 1) * KEPT_EVERY, next * KEPT_EVERY));
    }
    const kept = Math.floor(count / KEPT_EVERY);
    return this.#show(this.#kept[kept], kept * KEPT_EVERY, count);
  }

  #show(turn, from, to) {
    return this.frames.slice(from, to).reduce(afterFrame, turn);
  }

  /** How many frames had come by then. */
  #countUpto(at) {
    let low = 0;
    let high = this.frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.frames[middle].at <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A moment as people read it. */
export function clockOf(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 1) return `${Math.round(milliseconds)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

/** Where a moment lies in the timeline, by the marks between which its places lie evenly: "0:0 900:250 5000:1000". */
export function placeOf(at, marks) {
  const points = marks.split(' ').map((mark) => mark.split(':').map(Number));
  const next = points.findIndex(([moment]) => moment >= at);
  if (next <= 0) return next === 0 ? points[0][1] : points.at(-1)[1];
  const [[from, low], [to, high]] = [points[next - 1], points[next]];
  return low + ((high - low) * (at - from)) / (to - from);
}
