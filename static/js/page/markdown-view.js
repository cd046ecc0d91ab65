import { CodeBlock } from './code-block.js';
import { element } from './dom.js';
import { blocksOf, htmlOf } from './markdown.js';
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

  constructor(token, cite) {
    this.update(token, cite);
  }

  update(token, cite) {
    const fragment = sanitized(htmlOf(token));
    for (const table of fragment.querySelectorAll('table')) wrapTable(table);
    for (const text of fragment.querySelectorAll('p, li, blockquote, h1, h2, h3, h4, h5, h6')) text.dir = 'auto';
    cite(fragment);
    morph(this.node, fragment);
  }
}

/** On a phone it scrolls by itself, by keyboard too. */
function wrapTable(table) {
  const box = element('div', { className: 'markdown__table', tabIndex: 0, attributes: { role: 'group' } });
  table.replaceWith(box);
  box.append(table);
}
