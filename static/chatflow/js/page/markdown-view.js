import { CodeBlock } from './code-block.js';
import { element } from './dom.js';
import { blocksOf, codesIn, htmlOf } from './markdown.js';
import { morph } from './morph.js';
import { sanitized } from './sanitizer.js';
import { finished } from './unfinished.js';

/** A text in Markdown, shown as it grows: only what has changed is drawn again. */
export class MarkdownView {
  node = element('div', { className: 'message__text markdown', dir: 'auto' });
  #blocks = [];

  /**
   * @param {string} text untrusted
   * @param {object} [options] `growing`: there is more to come; `cite(fragment)` puts links into a block
   */
  show(text, { growing = false, cite = () => {} } = {}) {
    const tokens = blocksOf(growing ? finished(text) : text);
    while (this.#blocks.length > tokens.length) this.#blocks.pop().node.remove();
    tokens.forEach((token, index) => this.#draw(token, index, cite));
  }

  #draw(token, index, cite) {
    const block = this.#blocks[index];
    if (block?.raw === token.raw && block.cite === cite) return;
    if (block?.type === token.type) {
      block.update(token, cite);
    } else {
      const fresh = token.type === 'code' ? new CodeBlock(token) : new TextBlock(token, cite);
      if (block) block.node.replaceWith(fresh.node);
      else this.node.append(fresh.node);
      this.#blocks[index] = fresh;
    }
    Object.assign(this.#blocks[index], { raw: token.raw, type: token.type, cite });
  }
}

class TextBlock {
  node = element('div', { className: 'markdown__block' });
  #codes = [];

  constructor(token, cite) {
    this.update(token, cite);
  }

  update(token, cite) {
    const fragment = sanitized(htmlOf(token));
    for (const table of fragment.querySelectorAll('table')) wrapTable(table);
    for (const text of fragment.querySelectorAll('p, li, blockquote, h1, h2, h3, h4, h5, h6')) text.dir = 'auto';
    cite(fragment);
    this.#drawCodes(token, fragment);
    morph(this.node, fragment);
    this.#placeCodes();
  }

  /** Put what the blocks of code within this one look like into their places: so those that stand there stay. */
  #drawCodes(token, fragment) {
    const codes = codesIn(token);
    const known = this.#codes;
    this.#codes = codes.map((code, index) => known[index] ?? new CodeBlock(code));
    this.#codes.forEach((block, index) => block.update(codes[index]));
    fragment.querySelectorAll('pre').forEach((place, index) => place.replaceWith(this.#codes[index].node.cloneNode(true)));
  }

  /** A mere likeness copies nothing. */
  #placeCodes() {
    const shown = [...this.node.querySelectorAll('.code')];
    this.#codes.forEach(({ node }, index) => node !== shown[index] && shown[index].replaceWith(node));
  }
}

/** On a phone it scrolls by itself, by keyboard too. */
function wrapTable(table) {
  const box = element('div', { className: 'markdown__table', tabIndex: 0, attributes: { role: 'group' } });
  table.replaceWith(box);
  box.append(table);
}
