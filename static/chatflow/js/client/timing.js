const FIRST = 250;
const LONGEST = 10_000;

/** Milliseconds until the try number `tries`: none before the first, then longer, never two clients alike. */
export function backoff(tries) {
  if (tries < 1) return 0;
  return Math.min(LONGEST, FIRST * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
}

/** Wait for so many milliseconds, or until wake() is called. */
export class Pause {
  #wake = null;

  wait(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  wake() {
    this.#wake?.();
    this.#wake = null;
  }
}
