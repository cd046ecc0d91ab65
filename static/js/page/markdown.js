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
// Characters of a line from which on it was ended by an editor that wraps lines, not by its writer.
const WRAPPED = 70;

/** The blocks that a text consists of: a paragraph, a list, a table… */
export function blocksOf(text) {
  const tokens = marked.lexer(text).filter(({ type }) => type !== 'space' && type !== 'def');
  marked.walkTokens(tokens, ({ tokens: inner }) => inner && unwrap(inner));
  return tokens;
}

/** The HTML of one block; it must pass the sanitizer before it is shown. */
export const htmlOf = (block) => marked.parser([block]);

/** What a part of a text says, without its marks, in one line. */
export function plain(text) {
  const words = [];
  // It may begin or end within a block of code, a table or a list.
  const parts = text.replace(/^[ \t]*(?:`{3,}|~{3,}).*$/gm, '');
  marked.walkTokens(blocksOf(parts), ({ tokens, text: own, type }) => {
    if (!tokens && own !== undefined && type !== 'list') words.push(own);
  });
  const line = words.join(' ').replace(/`{3,}|(?<=\s|^)\|(?=\s|$)/g, ' ').replace(/\s+/g, ' ');
  return line.replace(/ (?=[.,;:!?)](?:\s|$))/g, '').replace(/ [-*+]$/, '').trim();
}

/** Let lines that an editor has wrapped go on as one. */
function unwrap(tokens) {
  let length = 0;
  tokens.forEach(({ type, raw }, index) => {
    if (type === 'br' && length >= WRAPPED && /^ ?\n/.test(raw)) tokens[index] = { type: 'text', raw, text: '\n' };
    length = type === 'br' ? 0 : length + raw.length;
  });
}
