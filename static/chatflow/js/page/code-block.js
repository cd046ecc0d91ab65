import { copyText } from './clipboard.js';
import { button, element, icon } from './dom.js';
import { coloured } from './sanitizer.js';
import { gettext } from './words.js';

// Colours for more than this would hold up the words that follow.
const LONGEST = 20_000;
// Loaded when the first block of code appears.
let loading = null;
let highlighter = null;

/** A block of code: its language, a button that copies it, and its colours. */
export class CodeBlock {
  #code = element('code');
  #language = element('span', { className: 'code__language' });
  #text = null;
  #name = '';

  constructor(token) {
    const label = gettext('Copy');
    const copy = button('', () => copyText(this.#text, copy), 'code__copy');
    copy.append(icon('copy'), element('span', { textContent: label }));
    const bar = element('div', { className: 'code__bar' }, this.#language, copy);
    const code = element('pre', { tabIndex: 0, dir: 'ltr' }, this.#code);
    this.node = element('div', { className: 'code' }, bar, code);
    this.update(token);
  }

  update({ text, lang = '' }) {
    const name = lang.match(/^[\w+#.-]+/)?.[0].toLowerCase() ?? '';
    if (text === this.#text && name === this.#name) return;
    this.#text = text;
    this.#name = name;
    this.#language.textContent = this.#name || gettext('Code');
    this.#draw();
    if (this.#name && !highlighter) load().then(() => this.#draw(), () => {});
  }

  #draw() {
    const isKnown = this.#text.length <= LONGEST && highlighter?.getLanguage(this.#name);
    if (!isKnown) this.#code.textContent = this.#text;
    else this.#code.replaceChildren(coloured(highlighter.highlight(this.#text, { language: this.#name }).value));
  }
}

async function load() {
  loading ??= import('../vendor/highlight.js');
  highlighter = (await loading).default;
}
