import { element, icon, setText } from './dom.js';
import { durationIfAny, gettext, ngettext } from './words.js';

const ICONS = { done: 'check', failed: 'close' };
// By what the stream and the history call them.
const STATES = { running: 'running', done: 'done', finished: 'done' };

/** The steps of a turn with their state and duration, which can be folded. */
export class Steps {
  node = element('details', { className: 'steps', hidden: true });
  #summary = element('summary');
  #list = element('ol');
  #rows = [];
  #shown = [];
  #isTouched = false;

  constructor() {
    this.node.append(this.#summary, this.#list);
    this.#summary.addEventListener('click', () => (this.#isTouched = true));
  }

  /** @param {object} turn see turn-state.js; `isEnded`: nothing more will happen */
  show({ steps, duration_ms: milliseconds }, isEnded) {
    this.node.hidden = steps.length === 0;
    if (this.node.hidden) return;
    // Open while there is something to follow, unless the reader has decided otherwise.
    if (!this.#isTouched) this.node.open = !isEnded;
    this.#shown = steps;
    setText(this.#summary, this.#title(isEnded, milliseconds));
    while (this.#rows.length > steps.length) this.#rows.pop().node.remove();
    steps.forEach((step, index) => {
      this.#rows[index] ??= this.#add();
      this.#rows[index].show(step);
    });
  }

  /** Count on, while a step runs. */
  tick() {
    this.#shown.forEach((step, index) => this.#rows[index]?.tick(step));
  }

  #title(isEnded, milliseconds) {
    const count = this.#shown.length;
    const label = ngettext('{count} step', '{count} steps', count);
    if (isEnded) return [label, durationIfAny(milliseconds)].filter(Boolean).join(' · ');
    const done = this.#shown.filter(({ state }) => STATES[state] === 'done').length;
    return `${gettext('Working')} · ${ngettext('{count} step done', '{count} steps done', done)}`;
  }

  #add() {
    const row = new Row();
    this.#list.append(row.node);
    return row;
  }
}

class Row {
  #mark = element('span', { className: 'step__mark' });
  #name = element('span', { className: 'step__name', dir: 'auto' });
  #time = element('span', { className: 'step__time' });
  node = element('li', { className: 'step' }, this.#mark, this.#name, this.#time);

  show(step) {
    const state = STATES[step.state] ?? 'failed';
    if (this.node.dataset.state !== state) {
      this.node.dataset.state = state;
      const words = { running: gettext('running'), done: gettext('done'), failed: gettext('not finished') };
      const said = element('span', { className: 'visually-hidden', textContent: words[state] });
      this.#mark.replaceChildren(...(ICONS[state] ? [icon(ICONS[state])] : []), said);
    }
    setText(this.#name, step.name);
    this.tick(step);
  }

  tick({ state, since, milliseconds }) {
    const running = STATES[state] === 'running' && since ? Math.max(0, Date.now() - since) : null;
    setText(this.#time, durationIfAny(milliseconds ?? running));
  }
}
