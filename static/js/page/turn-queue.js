import { hideLoadingIndicator, updateLoadingIndicator } from './loading-indicator.js';
import { displayError } from './messages.js';

const byId = (id) => document.getElementById(id);

/** The unfinished turns, in the order in which the server works on them. */
export class TurnQueue {
  #turns = [];

  get isEmpty() {
    return !this.#turns.length;
  }

  add(turn) {
    this.#turns.push(turn);
    this.draw();
  }

  remove(turn) {
    this.#turns = this.#turns.filter((other) => other !== turn);
    this.draw();
  }

  /** Wait for none of them any more; the work goes on without the page. */
  leave() {
    for (const { client } of this.#turns) client.disconnect();
    this.#turns = [];
    this.draw();
  }

  /** Stop the work that is being done. */
  async cancelFirst() {
    const [turn] = this.#turns;
    byId('cancel').disabled = true;
    updateLoadingIndicator('Cancelling…');
    try {
      // A direct send doesn't tell its job before it has ended.
      const jobId = turn.jobId ?? (await turn.client.history()).active_job?.job_id;
      if (jobId) await turn.client.cancel(jobId);
    } catch (error) {
      displayError(error);
    }
    byId('cancel').disabled = false;
  }

  /** Show how far the first one is. */
  draw() {
    const [turn] = this.#turns;
    byId('composer').dataset.running = String(Boolean(turn));
    if (!turn) return hideLoadingIndicator();
    const { message, percent, step } = turn.progress;
    const others = this.#turns.length - 1;
    updateLoadingIndicator(others ? `${message || 'Working…'} · ${others} more waiting` : message, percent, step);
  }
}
