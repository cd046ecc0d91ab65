import { byId } from './dom.js';

/** The list of workflows above the composer: opened by its button, or by a `/` at the beginning of a message. */
export class WorkflowPicker {
  #panel = byId('workflows');
  #button = byId('workflows-open');
  #message = byId('message');
  #options = [...this.#panel.querySelectorAll('[role="option"]')];
  #onPick;
  #active = null;

  /** @param {(workflow: {name: string, title: string}) => void} onPick */
  constructor(onPick) {
    this.#onPick = onPick;
    this.#button.addEventListener('click', () => (this.isOpen ? this.close() : this.open('')));
    this.#message.addEventListener('input', () => this.#onInput());
    // Before the composer takes Enter for its own.
    this.#message.addEventListener('keydown', (event) => this.#onKey(event), { capture: true });
    this.#message.addEventListener('blur', () => this.close());
    // Before the message loses the focus, which would close the list.
    this.#panel.addEventListener('pointerdown', (event) => event.preventDefault());
    for (const option of this.#options) option.addEventListener('click', () => this.#pick(option));
    this.#button.addEventListener('pointerdown', (event) => event.preventDefault());
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  open(query) {
    const words = query.toLocaleLowerCase();
    const matches = (read) => this.#options.filter((option) => read(option).toLocaleLowerCase().includes(words));
    // By what they are called, and else by what is said of them.
    const byTitle = matches(({ dataset }) => dataset.title);
    const found = new Set(byTitle.length ? byTitle : matches(({ textContent }) => textContent));
    for (const option of this.#options) option.hidden = !found.has(option);
    const [first] = this.#shown;
    if (!first) return this.close();
    this.#panel.hidden = false;
    this.#button.setAttribute('aria-expanded', 'true');
    this.#activate(first);
    this.#message.focus();
  }

  close() {
    this.#panel.hidden = true;
    this.#button.setAttribute('aria-expanded', 'false');
    this.#message.removeAttribute('aria-activedescendant');
  }

  get #shown() {
    return this.#options.filter(({ hidden }) => !hidden);
  }

  #onInput() {
    const { value } = this.#message;
    const isAsked = value.startsWith('/') && !value.includes('\n') && value.length < 60;
    if (isAsked) this.open(value.slice(1).trim());
    else this.close();
  }

  #onKey(event) {
    if (!this.isOpen) return;
    const options = this.#shown;
    const index = options.indexOf(this.#active);
    if (event.key === 'ArrowDown') this.#activate(options[(index + 1) % options.length]);
    else if (event.key === 'ArrowUp') this.#activate(options.at(index - 1));
    else if (event.key === 'Enter' || event.key === 'Tab') this.#pick(this.#active);
    else if (event.key === 'Escape') this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #activate(option) {
    for (const each of this.#options) each.setAttribute('aria-selected', String(each === option));
    this.#active = option;
    this.#message.setAttribute('aria-activedescendant', option.id);
    option.scrollIntoView({ block: 'nearest' });
  }

  #pick(option) {
    this.close();
    if (this.#message.value.startsWith('/')) {
      this.#message.value = '';
      // The composer keeps what is typed, and so what was taken away.
      this.#message.dispatchEvent(new Event('input', { bubbles: true }));
    }
    this.#message.focus();
    this.#onPick({ name: option.dataset.workflow, title: option.dataset.title });
  }
}
