import { element } from './dom.js';

/**
 * The parts of a message, each of which is built anew only where what it shows has changed: nobody loses what they
 * have typed into a form, or the focus, because something else was updated.
 */
export class Sections {
  node;
  #parts = new Map();

  /** @param {string[]} names in their order */
  constructor(className, names) {
    this.node = element('div', { className });
    for (const name of names) {
      const place = element('div', { className: `${className}__part`, hidden: true });
      this.node.append(place);
      this.#parts.set(name, { place, key: undefined });
    }
  }

  /**
   * @param {string} name
   * @param {unknown} data all that the part shows, as JSON would have it
   * @param {() => Node|null} build
   */
  show(name, data, build) {
    const part = this.#parts.get(name);
    const key = JSON.stringify(data, sorted) ?? 'undefined';
    if (part.key === key) return;
    part.key = key;
    const node = build();
    part.place.replaceChildren(...(node ? [node] : []));
    part.place.hidden = !node;
  }
}

/** Some databases keep no order of an object's names: the stream and the history may tell the same in two. */
function sorted(name, value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
