import { byId } from './dom.js';

/** The sidebar: beside the conversation where there is room, over it on a phone. */
export class Sidebar {
  #node = byId('sidebar');
  #toggle = byId('menu');
  #narrow = matchMedia('(max-width: 860px)');

  constructor() {
    this.#toggle.addEventListener('click', () => this.show(!this.isOpen));
    byId('sidebar-close').addEventListener('click', () => this.close());
    byId('sidebar-shade').addEventListener('click', () => this.close());
    this.#node.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.#narrow.matches || !this.isOpen) return;
      event.stopPropagation();
      this.close();
    });
    this.#narrow.addEventListener('change', () => this.show(false));
    this.show(false);
  }

  get isOpen() {
    return this.#node.dataset.open === 'true';
  }

  show(isOpen) {
    this.#node.dataset.open = String(isOpen);
    this.#toggle.setAttribute('aria-expanded', String(isOpen));
    byId('sidebar-shade').hidden = !isOpen;
    // What lies behind it can't be reached meanwhile; the page keeps its heading.
    for (const part of document.querySelectorAll('.talk__log, .talk__foot')) part.inert = isOpen && this.#narrow.matches;
    if (isOpen) byId('sidebar-close').focus();
  }

  close() {
    if (!this.isOpen) return;
    this.show(false);
    this.#toggle.focus();
  }
}
