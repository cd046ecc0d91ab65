/** What all tabs of one browser share: a store, and locks. */

export class FakeStore {
  getItem(name) {
    return Object.hasOwn(this, name) ? this[name] : null;
  }

  setItem(name, text) {
    this[name] = text;
  }

  removeItem(name) {
    delete this[name];
  }
}

/** The Web Locks: exclusive, in order. */
export class FakeLocks {
  #tails = new Map();
  #names = [];

  request(name, work) {
    this.#names.push(name);
    const next = (this.#tails.get(name) ?? Promise.resolve()).then(work);
    const done = () => this.#names.splice(this.#names.indexOf(name), 1);
    this.#tails.set(name, next.then(done, done));
    return next;
  }

  async query() {
    return { held: this.#names.map((name) => ({ name })), pending: [] };
  }
}

/** Give this process what a browser has. */
export function installBrowser() {
  Object.defineProperty(globalThis, 'localStorage', { value: new FakeStore(), configurable: true });
  Object.defineProperty(globalThis, 'navigator', { value: { locks: new FakeLocks(), onLine: true }, configurable: true });
}

export function removeBrowser() {
  delete globalThis.localStorage;
  delete globalThis.navigator;
}
