import { ChatError } from './errors.js';

/** The requests and followed jobs that somebody still waits for. */
export class PendingWork {
  #controllers = new Set();

  /** Run `work` with a signal that abort() and the caller's own `signal` end. */
  async run(work, signal) {
    const controller = new AbortController();
    const abort = () => end(controller, new ChatError('Aborted', { code: 'aborted', cause: signal.reason }));
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    this.#controllers.add(controller);
    try {
      return await work(controller.signal);
    } finally {
      this.#controllers.delete(controller);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Stop waiting for all of it: each rejects with `error`. */
  abort(error) {
    for (const controller of this.#controllers) end(controller, error);
  }
}

function end(controller, error) {
  // React Native's signals know of no reason.
  if (!('reason' in controller.signal)) controller.signal.reason = error;
  controller.abort(error);
}
