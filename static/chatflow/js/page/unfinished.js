/** How a text that is still being written is read: as it will most likely go on, so that nothing jumps. */

// A line that may become a list, a heading, a rule or a fence with its next character.
const MARK_ALONE = /(^|\n)[ \t]*(?:[-=*+>#|_~]{1,3}|\d{1,3}[.)]|`{1,3}[^`\n]*)[ \t]*$/;
// The first row of a table, until the line below it says that it is one.
const TABLE_BEGUN = /(^|\n\n?)\|[^\n]*(?:\n\|?[-:| \t]*)?$/;
const IMAGE_BEGUN = /!\[[^\]\n]*(?:\](?:\([^)\n]*)?)?$/;
const LINK_BEGUN = /\[([^\]\n]{1,300})\]\([^)\n]*$/;
const LABEL_BEGUN = /\[([^\]\n]{0,300})$/;
const FENCE = /^[ \t]*(`{3,}|~{3,})/gm;

/** The part of `text` that can be shown, with open marks closed. */
export function finished(text) {
  if (isInCode(text)) return text;
  const begin = text.lastIndexOf('\n\n') + 1;
  const settled = text.slice(0, begin);
  return settled + closed(held(text.slice(begin)));
}

/** Whether the text ends within a fenced block. */
function isInCode(text) {
  let open = null;
  for (const [, fence] of text.matchAll(FENCE)) {
    if (!open) open = fence;
    else if (fence[0] === open[0] && fence.length >= open.length) open = null;
  }
  return open !== null && text.slice(text.lastIndexOf(open)).includes('\n');
}

function held(text) {
  let shown = text.replace(MARK_ALONE, '$1');
  if (!/\n\|?[ \t]*:?-{2,}[^\n]*\n/.test(shown)) shown = shown.replace(TABLE_BEGUN, '$1');
  return shown.replace(IMAGE_BEGUN, '').replace(LINK_BEGUN, '$1').replace(LABEL_BEGUN, '$1');
}

function closed(text) {
  const line = text.slice(text.lastIndexOf('\n') + 1);
  if (odd(line, /`/g)) return line.endsWith('`') ? text.slice(0, -1) : `${text}\``;
  const plain = line.replace(/`[^`]*`/g, '');
  const marks = plain.match(/\*\*|~~/g) ?? [];
  for (const mark of ['**', '~~']) {
    if (marks.filter((each) => each === mark).length % 2 === 0) continue;
    const body = text.trimEnd();
    return body.endsWith(mark) ? body.slice(0, -2) : `${body.replace(/(?<!\*)\*$/, '')}${mark}`;
  }
  return text;
}

const odd = (text, pattern) => (text.match(pattern) ?? []).length % 2 === 1;
