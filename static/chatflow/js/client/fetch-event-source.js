import { EventParser } from './event-parser.js';
import { readText } from './text-stream.js';

/** As much of an EventSource as following a job takes, for where there is none, or headers have to come along. */
export class FetchEventSource {
  readyState = 0;
  #controller = new AbortController();

  /**
   * @param {string} url
   * @param {object} options `headers` of the request
   */
  constructor(url, { headers } = {}) {
    this.#read(url, headers);
  }

  close() {
    this.readyState = 2;
    this.#controller.abort();
  }

  /** One connection: whoever listens opens the next, behind the last event that came. */
  async #read(url, headers) {
    const parser = new EventParser((message) => this.readyState !== 2 && this.onmessage?.(message));
    let error;
    try {
      await readText(url, { headers, signal: this.#controller.signal, onText: (text) => parser.push(text) });
    } catch (caught) {
      error = caught;
    }
    if (this.readyState === 2) return;
    this.readyState = 2;
    this.onerror?.(error ?? {});
  }
}
