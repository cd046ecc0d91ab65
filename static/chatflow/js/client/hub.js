import { UserStream } from './user-stream.js';

const ENDED = new Set(['completed', 'failed', 'timeout']);

/** What a tab that joins late must be told: the connection's state, and the frames of the jobs that still run. */
export class FrameLog {
  state = null;
  cursor = '';
  #jobs = new Map();

  take(message) {
    if (message.state) this.state = message.state;
    if (message.frame) this.#add(message);
  }

  #add({ frame, cursor }) {
    this.cursor = cursor;
    if (frame.type === 'reset') this.#jobs.clear();
    const { job_id: jobId, seq } = frame;
    if (!jobId || !seq) return;
    if (ENDED.has(frame.status)) return this.#jobs.delete(jobId);
    if (!this.#jobs.has(jobId)) this.#jobs.set(jobId, []);
    this.#jobs.get(jobId).push(frame);
  }

  *messages() {
    for (const frames of this.#jobs.values()) {
      for (const frame of frames) yield { frame, cursor: this.cursor };
    }
    if (this.state) yield { state: this.state };
  }
}

/** Holds the one connection, and hands all that comes to everybody who has joined. */
export class Hub {
  #members = new Set();
  #stream = null;
  #log;
  #open;

  /**
   * @param {{url: string, headers: object, silence?: number}} source
   * @param {FrameLog} [log] what was seen before, by another hub
   */
  constructor({ url, ...options }, log = new FrameLog()) {
    this.#log = log;
    const onFrame = (frame, cursor) => this.#tell({ frame, cursor });
    const onState = (state) => state !== this.#log.state && this.#tell({ state });
    this.#open = () => new UserStream(url, { ...options, cursor: this.#log.cursor, onFrame, onState });
  }

  /** @param {(message: object) => void} member */
  join(member) {
    if (!this.#stream) this.#run();
    for (const message of this.#log.messages()) member(message);
    this.#members.add(member);
  }

  /** Without members there is no connection. */
  leave(member) {
    this.#members.delete(member);
    if (this.#members.size === 0) this.close();
  }

  /** Try again now, also where the server wanted no more of it. */
  wake() {
    if (this.#stream) this.#stream.wake();
    else if (this.#members.size) this.#run();
  }

  close() {
    this.#stream?.close();
    this.#stream = null;
  }

  async #run() {
    // How the last connection ended says nothing of the next one: the person may be signed in again.
    this.#log.state = null;
    const stream = this.#open();
    this.#stream = stream;
    await stream.run();
    if (this.#stream === stream) this.#stream = null;
  }

  #tell(message) {
    this.#log.take(message);
    for (const member of this.#members) member(message);
  }
}
