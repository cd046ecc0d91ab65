import { AsyncChatClient } from '../async-chat.js';

/** The page's client, also for a server that has no list of conversations. */
export class Gateway extends AsyncChatClient {
  #hasList;

  constructor(base, token, options) {
    super(base, token, options);
    this.#hasList = 'sessions' in options.urls;
  }

  /** The conversations; without a list of them, those of the latest jobs. */
  async conversations(options) {
    if (this.#hasList) return this.sessions(options);
    const { jobs } = await this.jobs();
    const bySession = new Map();
    for (const job of jobs) if (!bySession.has(job.session_id)) bySession.set(job.session_id, job);
    return { sessions: [...bySession.values()].map(sessionOf), next: null };
  }
}

function sessionOf({ session_id, text, workflow, status, state, job_id, created_at }) {
  const active = status === 'processing' ? { job_id, state, workflow } : null;
  const title = text || workflow;
  return { session_id, title, created_at, updated_at: created_at, pinned: false, unread: false, active_job: active, last_state: state };
}
