import { button, element } from './dom.js';

/** The workflows on offer, the user's latest conversations, and on phones the button that shows both. */
export class Sidebar {
  #node = document.getElementById('sidebar');
  #toggle = document.getElementById('menu');
  #onOpen;

  /**
   * @param {object} options
   * @param {(title: string, name: string) => void} options.onStart a workflow was picked
   * @param {(sessionId: string) => void} options.onOpen a conversation was picked
   */
  constructor({ onStart, onOpen }) {
    this.#onOpen = onOpen;
    this.#toggle.addEventListener('click', () => this.#show(this.#toggle.getAttribute('aria-expanded') !== 'true'));
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.#show(false);
    });
    document.getElementById('main').addEventListener('click', () => this.#show(false));
    for (const workflow of this.#node.querySelectorAll('[data-workflow]')) {
      workflow.addEventListener('click', () => {
        this.#show(false);
        onStart(workflow.dataset.title, workflow.dataset.workflow);
      });
    }
  }

  close() {
    this.#show(false);
  }

  /** List the sessions of `jobs`, the newest first. */
  showRecent(jobs, currentSession) {
    const bySession = new Map();
    for (const job of jobs) if (!bySession.has(job.session_id)) bySession.set(job.session_id, job);
    const items = [...bySession.values()].slice(0, 12).map((job) => this.#item(job, currentSession));
    document.getElementById('recent').replaceChildren(...items);
    document.getElementById('recent-section').hidden = items.length === 0;
  }

  #item({ session_id, text, workflow, status, created_at }, currentSession) {
    const open = () => {
      this.#show(false);
      this.#onOpen(session_id);
    };
    const node = button(text || this.#titleOf(workflow), open, 'recent__item');
    node.dataset.status = status;
    if (session_id === currentSession) node.setAttribute('aria-current', 'true');
    const moment = new Date(created_at);
    if (!Number.isNaN(moment.getTime())) node.append(timeElement(moment));
    return element('li', {}, node);
  }

  #titleOf(name) {
    const workflow = this.#node.querySelector(`[data-workflow="${CSS.escape(name ?? '')}"]`);
    return workflow?.dataset.title ?? name ?? 'Conversation';
  }

  #show(isOpen) {
    this.#toggle.setAttribute('aria-expanded', String(isOpen));
    this.#node.dataset.open = String(isOpen);
  }
}

function timeElement(moment) {
  const textContent = moment.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  return element('time', { dateTime: moment.toISOString(), textContent });
}
