import { byId, isTouch, sends, setText } from './dom.js';
import { gettext, ngettext, number } from './words.js';

const MAX_ROWS = 10;
// From this part of the limit on the characters are counted before the writer's eyes.
const COUNTED = 0.9;

/** The form that messages are written in. Nothing that was typed is cut or lost. */
export class Composer {
  #form = byId('composer');
  #message = byId('message');
  #send = byId('send');
  #count = byId('message-count');
  #limit = Number(this.#message.dataset.limit);
  #moves;
  #workflow = null;

  /**
   * @param {object} moves `send({text, workflow})`, `stop()`, `type(text)`, `editLast()`; `isReady()`: no file is
   *   under way; `hasFiles()`: some are chosen
   */
  constructor(moves) {
    this.#moves = moves;
    // In place of what early.js does with them.
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    this.#message.oninput = () => this.#onInput();
    this.#message.onkeydown = (event) => this.#onKey(event);
    byId('stop').addEventListener('click', () => {
      moves.stop();
      this.focus();
    });
    byId('workflow-clear').addEventListener('click', () => {
      this.setWorkflow(null);
      this.focus();
    });
    this.update();
  }

  get text() {
    return this.#message.value;
  }

  set text(value) {
    this.#message.value = value;
    this.update();
  }

  /** Take what was sent before this script was there, or nothing, out of what has been typed. */
  takeEarly() {
    const { early } = this.#form.dataset;
    if (early && this.text.startsWith(early)) this.text = this.text.slice(early.length);
    return early?.trim();
  }

  /** The workflow that the next message starts: `{name, title}`, or null for whichever fits. */
  setWorkflow(workflow) {
    this.#workflow = workflow;
    byId('workflow-chosen').hidden = !workflow;
    setText(byId('workflow-name'), workflow?.title ?? '');
    this.update();
  }

  /** Show that something runs, and which question is open. */
  show({ isRunning, awaiting }) {
    this.#form.dataset.running = String(isRunning);
    byId('stop').hidden = !isRunning;
    byId('open-question').hidden = !awaiting || isRunning;
    const placeholder = awaiting && !isRunning ? gettext('Write your answer') : gettext('Write a message');
    if (this.#message.placeholder !== placeholder) this.#message.placeholder = placeholder;
  }

  /** Not on touch screens, where the keyboard would cover the conversation. */
  focus() {
    if (isTouch()) return;
    this.#message.focus({ preventScroll: true });
  }

  #submit() {
    const text = this.#message.value.trim();
    const workflow = this.#workflow;
    // A workflow can be started without a word more, and a file sent without one.
    const message = text || workflow?.title || (this.#moves.hasFiles() ? gettext('See the files.') : '');
    if (!message || this.#excess > 0 || !this.#moves.isReady()) return this.#message.focus();
    this.text = '';
    this.setWorkflow(null);
    this.#moves.type('');
    this.#moves.send({ text: message, workflow: workflow?.name });
  }

  #onInput() {
    this.update();
    this.#moves.type(this.#message.value);
  }

  #onKey(event) {
    // The list of workflows, where it is open, has taken the key.
    if (event.defaultPrevented) return;
    if (event.key === 'ArrowUp' && !this.#message.value && this.#moves.editLast()) event.preventDefault();
    if (!sends(event)) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  /** Code points above the limit, as the server counts them. */
  get #excess() {
    return [...this.#message.value.trim()].length - this.#limit;
  }

  /** Show what can be sent: something was typed, or files were chosen or taken away. */
  update() {
    this.#message.rows = Math.min(MAX_ROWS, this.#message.value.split('\n').length);
    const excess = this.#excess;
    const isEmpty = !this.#message.value.trim() && !this.#workflow && !this.#moves?.hasFiles();
    this.#send.disabled = isEmpty || excess > 0 || !this.#moves?.isReady();
    this.#message.setAttribute('aria-invalid', String(excess > 0));
    this.#count.hidden = excess < (COUNTED - 1) * this.#limit;
    this.#count.dataset.over = String(excess > 0);
    setText(this.#count, this.#counted(excess));
  }

  #counted(excess) {
    if (excess <= 0) return `${number(excess + this.#limit)} / ${number(this.#limit)}`;
    return ngettext(
      'The message is {count} character too long: a message has at most {limit}.',
      'The message is {count} characters too long: a message has at most {limit}.',
      excess,
      { limit: number(this.#limit) },
    );
  }
}
