import { FetchEventSource } from './fetch-event-source.js';
import { isRefusal, isTerminal, readStatus } from './job-status.js';
import { parseObject, withCursor } from './request.js';

const CLOSED = 2;

/** The stream doesn't deliver; the job itself may be well. */
export class StreamLost extends Error {}

/** Takes the frames of a job's stream, each once, across broken connections. */
export class StreamFollower {
  #job;
  #options;
  #source = null;
  #cursor = 0;
  #failures = 0;
  #timers = { reopen: null, quiet: null };
  #settled = false;
  #resolve;
  #reject;

  /**
   * @param {{stream_url: string, status_url: string}} job
   * @param {object} options `signal`, `onFrame`, `headers`, `needsHeaders`, `maxFailures`, `quietTimeout`, `reopenDelay`
   */
  constructor(job, options) {
    this.#job = job;
    this.#options = options;
  }

  /** Resolves with the job's last frame, whatever that says; rejects with StreamLost or the signal's reason. */
  follow() {
    const { signal } = this.#options;
    const abort = () => {
      this.#close();
      this.#reject(signal.reason);
    };
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort);
      this.#open();
    }).finally(() => {
      signal.removeEventListener('abort', abort);
      this.#close();
    });
  }

  #open() {
    // The browser's own sends no headers.
    const Source = (!this.#options.needsHeaders && globalThis.EventSource) || FetchEventSource;
    try {
      this.#source = new Source(withCursor(this.#job.stream_url, this.#cursor), { headers: this.#options.headers() });
    } catch {
      return this.#reject(new StreamLost());
    }
    this.#source.onmessage = (event) => this.#take(parseObject(event.data));
    this.#source.onerror = (error) => this.#fail(error);
    this.#awaitFrame();
  }

  #take(frame) {
    if (this.#settled || !frame?.status) return;
    this.#failures = 0;
    this.#awaitFrame();
    if (frame.status !== 'connected' && frame.seq) {
      if (frame.seq <= this.#cursor) return;
      this.#cursor = frame.seq;
    }
    if (isTerminal(frame)) this.#close();
    this.#options.onFrame(frame);
    if (isTerminal(frame)) this.#resolve(frame);
  }

  /** The browser reconnects by itself after a broken transport, but not after a refusal. */
  #fail(error) {
    if (this.#settled) return;
    if (error.code === 'not_a_stream' || isRefusal(error)) return this.#reject(new StreamLost());
    this.#failures += 1;
    if (this.#failures >= this.#options.maxFailures) {
      this.#reject(new StreamLost());
    } else if (this.#source.readyState === CLOSED) {
      clearTimeout(this.#timers.reopen);
      this.#timers.reopen = setTimeout(() => this.#open(), Math.max(this.#options.reopenDelay * this.#failures, (error.retryAfter ?? 0) * 1000));
    }
  }

  #awaitFrame() {
    clearTimeout(this.#timers.quiet);
    this.#timers.quiet = setTimeout(() => this.#checkQuiet(), this.#options.quietTimeout);
  }

  /** Tell a job that has nothing to say from a stream that a proxy or a lost network swallows. */
  async #checkQuiet() {
    const status = await readStatus(this.#job.status_url, this.#options).catch(() => null);
    if (this.#settled) return;
    if (!isTerminal(status) && !(status?.last_event_id > this.#cursor)) return this.#awaitFrame();
    // What was committed a moment ago may still be under way; a frame takes this timer back.
    clearTimeout(this.#timers.quiet);
    this.#timers.quiet = setTimeout(() => this.#reject(new StreamLost()), this.#options.reopenDelay);
  }

  #close() {
    this.#settled = true;
    Object.values(this.#timers).forEach(clearTimeout);
    this.#source?.close();
  }
}
