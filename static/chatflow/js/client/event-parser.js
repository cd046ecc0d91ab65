/** Reads the format of Server-Sent Events, however its text is cut into pieces. */
export class EventParser {
  #rest = '';
  #data = [];
  #lastId = '';
  #onMessage;

  /** @param {(message: {data: string, id: string}) => void} onMessage called with each whole event */
  constructor(onMessage) {
    this.#onMessage = onMessage;
  }

  /** Take the next piece. An event that isn't whole waits for the next one, and is never given away. */
  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    lines.forEach((line) => this.#take(line));
  }

  #take(line) {
    if (line === '') return this.#dispatch();
    const [, field, value] = /^([^:]*)(?:: ?)?([^]*)$/.exec(line);
    if (field === 'data') this.#data.push(value);
    if (field === 'id' && !value.includes('\0')) this.#lastId = value;
  }

  #dispatch() {
    if (this.#data.length) this.#onMessage({ data: this.#data.join('\n'), id: this.#lastId });
    this.#data = [];
  }
}
