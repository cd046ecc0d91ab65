import { displayFailure, displayMessage, fillMessage, keepEndInSight } from './messages.js';

/** One message of the user and what becomes of it, on the page. */
export class Turn {
  jobId = null;
  progress = { message: '', percent: undefined, step: '' };
  #client;
  #article;
  #onChange;
  #isDrawing = false;
  #text = '';

  /**
   * @param {AsyncChatClient} client a client of this turn's own
   * @param {() => void} onChange called when there is other progress to show
   */
  constructor(client, onChange) {
    this.#client = client;
    this.#onChange = onChange;
    this.#article = displayMessage('');
    client.onStart = ({ job_id, message }) => {
      this.jobId = job_id;
      this.#article.dataset.jobId = job_id;
      this.#report({ message, percent: 0 });
    };
    client.onProgress = (frame) => this.#take(frame);
    client.onDelta = (text) => this.#stream(text);
  }

  get client() {
    return this.#client;
  }

  /**
   * Draw the answer that `promise` brings, or resolve with the error that it brought instead.
   *
   * @param {Promise<object>} promise
   * @param {object} options `moves`: see fillMessage(); `remedy(error)` says what the user can do
   *   about an error; `isRefusal(error)`, that it is shown elsewhere
   */
  async settle(promise, { moves, remedy, isRefusal }) {
    try {
      const { response, metadata, actions, sources, awaiting, job_id } = await promise;
      this.#text = null;
      this.#article.dataset.jobId = job_id;
      const content = { text: response ?? '', metadata, actions, sources, awaiting, moves };
      keepEndInSight(() => fillMessage(this.#article, content));
      return null;
    } catch (error) {
      this.#text = null;
      if (isRefusal(error)) this.#article.remove();
      else this.#fail(error, remedy);
      return error;
    }
  }

  #fail(error, remedy) {
    if (error.code === 'disconnected') return;
    // Words that were streamed before a failure stay readable; a reconnect streams them anew.
    if (this.#article.hidden || error.code === 'connection_failed') this.#article.remove();
    else this.#article.setAttribute('aria-busy', 'false');
    displayFailure(error, remedy(error));
  }

  #take({ status, message, progress, step, queue_position: position }) {
    if (status === 'connected') return;
    const waiting = position > 0 ? ` (number ${position} in the queue)` : '';
    this.#report({ message: `${message ?? ''}${waiting}`, percent: progress, step: step?.name });
  }

  #report({ message, percent, step }) {
    const { progress } = this;
    this.progress = {
      message: message || progress.message,
      percent: percent ?? progress.percent,
      step: step ?? progress.step,
    };
    this.#onChange();
  }

  /** Words come faster than the screen can show them. */
  #stream(text) {
    this.#text = text;
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      if (this.#text === null) return;
      keepEndInSight(() => fillMessage(this.#article, { text: this.#text, busy: true }));
    });
  }
}
