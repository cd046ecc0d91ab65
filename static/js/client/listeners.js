/**
 * Callbacks that are set by a call, `chat.onProgress(callback)`, or by assignment,
 * `chat.onProgress = callback`; none at all is fine too.
 */
export class Listeners {
  #callbacks = {};

  /** Called with every frame, and its job's id. */
  get onProgress() {
    return this.#setter('progress');
  }

  set onProgress(callback) {
    this.#callbacks.progress = callback;
  }

  /** Called with the text streamed so far, the frame that changed it, and its job's id. */
  get onDelta() {
    return this.#setter('delta');
  }

  set onDelta(callback) {
    this.#callbacks.delta = callback;
  }

  /** Called with what the server says of a job (`job_id`, `stream_url`, …) before its first frame. */
  get onStart() {
    return this.#setter('start');
  }

  set onStart(callback) {
    this.#callbacks.start = callback;
  }

  /** Called with the messages that wait to be sent, whenever these change. */
  get onOutbox() {
    return this.#setter('outbox');
  }

  set onOutbox(callback) {
    this.#callbacks.outbox = callback;
  }

  /** Called when a message has to wait until the user has signed in. */
  get onSignedOut() {
    return this.#setter('signedOut');
  }

  set onSignedOut(callback) {
    this.#callbacks.signedOut = callback;
  }

  /** Call the callback `name`; its own errors must not keep the job's result from the caller. */
  notify(name, ...args) {
    try {
      this.#callbacks[name]?.(...args);
    } catch (error) {
      console.error(error);
    }
  }

  #setter(name) {
    return (callback) => {
      this.#callbacks[name] = callback;
      return this;
    };
  }
}
