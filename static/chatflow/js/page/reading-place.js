// Pixels within which one is at the end.
const NEAR = 40;

/**
 * Where the reader is in a conversation. After a message was sent its answer is read from the beginning: the page
 * follows until the message has reached the top, and then stands. Whoever goes to the end is kept there.
 */
export class ReadingPlace {
  #log;
  #toEnd;
  #mode = 'end';
  #anchor = null;
  #set = 0;

  constructor(log, toEnd) {
    this.#log = log;
    this.#toEnd = toEnd;
    log.addEventListener('scroll', () => this.#onScroll(), { passive: true });
    toEnd.addEventListener('click', () => this.toEnd());
    new ResizeObserver(() => this.keep()).observe(log);
  }

  /** Read from `node` on: a message that was sent, or the last one of a conversation that was opened. */
  readFrom(node) {
    this.#anchor = node;
    this.#mode = node ? 'begin' : 'end';
    this.keep();
  }

  toEnd() {
    this.#mode = 'end';
    this.keep();
    this.#log.focus({ preventScroll: true });
  }

  /** Call after every change of the conversation. */
  keep() {
    const { scrollHeight, clientHeight } = this.#log;
    const end = scrollHeight - clientHeight;
    if (this.#mode === 'end') this.#scroll(end);
    if (this.#mode === 'begin' && this.#anchor?.isConnected) this.#scroll(Math.min(end, this.#top(this.#anchor)));
    this.#show();
  }

  #top(node) {
    const gap = 16;
    return node.getBoundingClientRect().top - this.#log.getBoundingClientRect().top + this.#log.scrollTop - gap;
  }

  #scroll(top) {
    this.#log.scrollTop = Math.max(0, top);
    this.#set = this.#log.scrollTop;
  }

  #onScroll() {
    // What the page did itself says nothing about the reader.
    if (Math.abs(this.#log.scrollTop - this.#set) > 2) {
      this.#mode = this.#distance() < NEAR ? 'end' : 'free';
      this.#set = this.#log.scrollTop;
    }
    this.#show();
  }

  #distance() {
    return this.#log.scrollHeight - this.#log.clientHeight - this.#log.scrollTop;
  }

  #show() {
    this.#toEnd.hidden = this.#distance() < NEAR * 3;
  }
}
