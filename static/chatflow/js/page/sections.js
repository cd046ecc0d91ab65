import { element } from './dom.js';

/**
 * The parts of a message, each of which is built anew only where what it shows has changed: nobody loses what they
 * have typed into a form, or the focus, because something else was updated.
 */
export class Sections {
  node;
  #className;
  #parts = new Map();

  /** @param {string[]} names in their order; others stand behind them */
  constructor(className, names) {
    this.#className = className;
    this.node = element('div', { className });
    for (const name of names) this.#add(name);
  }

  /**
   * @param {string|number} name
   * @param {unknown} data all that the part shows, as JSON would have it
   * @param {() => Node|null} build
   */
  show(name, data, build) {
    const part = this.#parts.get(name) ?? this.#add(name);
    const key = JSON.stringify(data, sorted) ?? 'undefined';
    if (part.key === key) return;
    part.key = key;
    const node = build();
    const focused = placeOfFocus(part.place);
    part.place.replaceChildren(...(node ? [node] : []));
    part.place.hidden = !node;
    if (focused >= 0) controls(part.place)[focused]?.focus({ preventScroll: true });
  }

  /** Where a part stands. */
  nodeOf(name) {
    return this.#parts.get(name).place;
  }

  #add(name) {
    const place = element('div', { className: `${this.#className}__part`, hidden: true });
    const part = { place, key: undefined };
    this.node.append(place);
    this.#parts.set(name, part);
    return part;
  }
}

const controls = (place) => [...place.querySelectorAll('a, button, input, select, textarea, summary')];

/** Which of the controls has the focus, so that its successor can have it; -1 for none. */
function placeOfFocus(place) {
  return place.contains(document.activeElement) ? controls(place).indexOf(document.activeElement) : -1;
}

/** Some databases keep no order of an object's names: the stream and the history may tell the same in two. */
function sorted(name, value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
