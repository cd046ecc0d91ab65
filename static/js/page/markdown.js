import { Marked } from '../vendor/marked.js';

// What looks like HTML is text here: a name such as "<b>" is shown as it was written.
const tokenizer = {
  html: () => undefined,
  tag(source) {
    const [raw] = /^<br\s*\/?>/i.exec(source) ?? [];
    return raw ? { type: 'br', raw } : undefined;
  },
};
// In a chat, a new line is one.
const marked = new Marked({ gfm: true, breaks: true, tokenizer });

/** The blocks that a text consists of: a paragraph, a list, a table… */
export function blocksOf(text) {
  return marked.lexer(text).filter(({ type }) => type !== 'space' && type !== 'def');
}

/** The HTML of one block; it must pass the sanitizer before it is shown. */
export const htmlOf = (block) => marked.parser([block]);
