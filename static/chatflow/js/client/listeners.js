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

  /**
   * Called with a message of an earlier visit that the server has refused, and the error; until there is a
   * callback, the message is kept.
   */
  get onRefused() {
    return this.#setter('refused');
  }

  set onRefused(callback) {
    this.#callbacks.refused = callback;
  }

  /**
   * Call the callback `name`; its own errors must not keep the job's result from the caller. True where there is
   * one, and it didn't fail.
   */
  notify(name, ...args) {
    const callback = this.#callbacks[name];
    try {
      callback?.(...args);
      return Boolean(callback);
    } catch (error) {
      console.error(error);
      return false;
    }
  }

  #setter(name) {
    return (callback) => {
      this.#callbacks[name] = callback;
      return this;
    };
  }
}
