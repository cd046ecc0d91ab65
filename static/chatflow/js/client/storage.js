/** Values in the browser's store by name; in memory where there is none, or it is refused. */
export class Storage {
  #memory = new Map();

  constructor(prefix) {
    this.prefix = prefix;
  }

  /** Whether other tabs see the same. */
  get isShared() {
    return Boolean(this.#use((store) => store.getItem));
  }

  get(name) {
    return this.#use((store) => store.getItem(this.prefix + name)) ?? this.#memory.get(name) ?? '';
  }

  /** The names that begin with `start`, in order. */
  names(start) {
    const kept = this.#use((store) => Object.keys(store)) ?? [];
    const own = kept.filter((name) => name.startsWith(this.prefix)).map((name) => name.slice(this.prefix.length));
    return [...own, ...this.#memory.keys()].filter((name) => name.startsWith(start)).sort();
  }

  /** Keep a text; an empty one is forgotten. */
  set(name, text) {
    this.#memory.delete(name);
    const isKept = this.#use((store) => {
      if (text) store.setItem(this.prefix + name, text);
      else store.removeItem(this.prefix + name);
      return true;
    });
    if (!isKept && text) this.#memory.set(name, text);
  }

  #use(work) {
    try {
      return work(globalThis.localStorage);
    } catch {
      return null;
    }
  }
}
