const MAX_ROWS = 8;

/** The form that messages are written in. */
export class Composer {
  #form = document.getElementById('composer');
  #message = document.getElementById('message');

  /** @param {(message: string) => void} onSend */
  constructor(onSend) {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const message = this.#message.value.trim();
      if (!message) return this.focus();
      this.#message.value = '';
      this.#fit();
      onSend(message);
    });
    this.#message.addEventListener('input', () => this.#fit());
    this.#message.addEventListener('keydown', (event) => {
      // While an input method composes a character, Enter belongs to it.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
  }

  /** Not on touch screens, where the keyboard would cover the conversation. */
  focus() {
    if (matchMedia('(pointer: coarse)').matches) return;
    this.#message.focus({ preventScroll: true });
  }

  #fit() {
    this.#message.rows = Math.min(MAX_ROWS, this.#message.value.split('\n').length);
  }
}
