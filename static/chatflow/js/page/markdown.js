import { Lexer, Parser, Tokenizer } from '../vendor/marked.js';

// What looks like HTML is text here: a name such as "<b>" is shown as it was written.
class PlainTokenizer extends Tokenizer {
  html() {}

  tag(source) {
    const [raw] = /^<br\s*\/?>/i.exec(source) ?? [];
    return raw ? { type: 'br', raw } : undefined;
  }
}

// In a chat, a new line is one.
const OPTIONS = { gfm: true, breaks: true, tokenizer: new PlainTokenizer() };
// Characters of a line from which on it was ended by an editor that wraps lines, not by its writer.
const WRAPPED = 70;

/** The blocks that a text consists of: a paragraph, a list, a table… */
export function blocksOf(text) {
  const tokens = Lexer.lex(text, OPTIONS).filter(({ type }) => type !== 'space' && type !== 'def');
  walk(tokens, ({ tokens: inner }) => inner && unwrap(inner));
  return tokens;
}

/** The HTML of one block; it must pass the sanitizer before it is shown. */
export const htmlOf = (block) => Parser.parse([block], OPTIONS);

/** The blocks of code within another block, such as a list, in their order. */
export function codesIn(block) {
  const found = [];
  walk([block], (token) => token.type === 'code' && found.push(token));
  return found;
}

// What is left of marks where a text was cut, or its lines were joined: they are no marks any more to a parser.
const LEFTOVERS = [
  [/(^|[\s…])#{1,6} /g, '$1'],
  // The line below a table's first row.
  [/\|?(?:\s*:?-{2,}:?\s*\|)+(?:\s*:?-{2,}:?)?/g, ' '],
  [/(?<=\s|^)\|(?=\s|$)/g, ' '],
  // A link, at the end and at the beginning.
  [/!?\[([^\]]*)\]\([^)]*$/, '$1'],
  [/^([^[\]]*)\]\(\s*[^)\s]*\s*\)/, '$1'],
  [/(?<=[\s…(]|^)(?:\*\*|__|~~)(?=\S)|(?<=\S)(?:\*\*|__|~~)(?=[\s.,;:!?)]|$)/g, ''],
  // A backtick that has lost the other one.
  [/^([^`]*)`([^`]*)$/, '$1$2'],
];

/** What a part of a text says, without its marks, in one line. */
export function plain(text) {
  const words = [];
  // It may begin or end within a block of code, a table or a list.
  const parts = text.replace(/^[ \t]*(?:`{3,}|~{3,}).*$/gm, '').replace(/`{3,}\w*(?=\s|$)/g, ' ');
  walk(blocksOf(parts), ({ tokens, text: own, type }) => {
    if (!tokens && own !== undefined && type !== 'list') words.push(own);
  });
  const cleaned = LEFTOVERS.reduce((line, [mark, instead]) => line.replace(mark, instead), words.join(' '));
  const line = cleaned.replace(/\s+/g, ' ');
  return line.replace(/ (?=[.,;:!?)](?:\s|$))/g, '').replace(/ [-*+]$/, '').trim();
}

/** Visit each of these tokens, and all that are in it. */
function walk(tokens, visit) {
  for (const token of tokens) {
    visit(token);
    const { tokens: inner = [], items = [], header, rows } = token;
    const cells = rows ? [header, ...rows].flat() : [];
    walk([...inner, ...items, ...cells], visit);
  }
}

/** Let lines that an editor has wrapped go on as one. */
function unwrap(tokens) {
  let length = 0;
  tokens.forEach(({ type, raw }, index) => {
    if (type === 'br' && length >= WRAPPED && /^ ?\n/.test(raw)) tokens[index] = { type: 'text', raw, text: '\n' };
    length = type === 'br' ? 0 : length + raw.length;
  });
}
