/** What was typed and not sent, for each conversation of a user, in this browser. */
export class Drafts {
  #prefix;

  constructor(user) {
    this.#prefix = `chatflow.draft.${user}.`;
  }

  load(sessionId) {
    return this.#storage((storage) => storage.getItem(this.#prefix + (sessionId ?? ''))) ?? '';
  }

  save(sessionId, text) {
    const key = this.#prefix + (sessionId ?? '');
    this.#storage((storage) => (text ? storage.setItem(key, text) : storage.removeItem(key)));
  }

  /** Browsers may refuse storage altogether. */
  #storage(use) {
    try {
      return use(localStorage);
    } catch {
      return null;
    }
  }
}
