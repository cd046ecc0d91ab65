/** Remembers a user's current session: in the address for this tab, in the browser for the next. */
export class SessionStore {
  #key;

  constructor(user) {
    this.#key = `chatflow.session.${user}`;
  }

  load() {
    return new URL(location.href).searchParams.get('session') || this.#storage((storage) => storage.getItem(this.#key));
  }

  save(sessionId) {
    this.#storage((storage) => storage.setItem(this.#key, sessionId));
    this.#address((parameters) => parameters.set('session', sessionId));
  }

  forget() {
    this.#storage((storage) => storage.removeItem(this.#key));
    this.#address((parameters) => parameters.delete('session'));
  }

  #address(change) {
    const url = new URL(location.href);
    change(url.searchParams);
    history.replaceState(null, '', url);
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
