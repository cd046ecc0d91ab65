import { link } from './links.js';

const LIMIT = 500;
// A path that begins with two slashes, or what a browser takes for them, leads to another site.
const ABSOLUTE = /^(?:https?:\/\/|\/(?![/\\]))/i;
const TOKEN = new RegExp(
  [
    // To the end of the text while the rest is still being written.
    String.raw`^[ \t]*\x60{3}[^\n\x60]*\n(?<block>[^]*?)(?:^[ \t]*\x60{3}[ \t]*$\n?|(?![^]))`,
    String.raw`\x60(?<code>[^\x60\n]{1,${LIMIT}})\x60`,
    String.raw`\*\*(?<bold>[^*\n]{1,${LIMIT}})\*\*`,
    String.raw`\[(?<label>[^\[\]\n]{1,${LIMIT}})\]\((?<target>[^()\s]{1,${LIMIT}})\)`,
    String.raw`(?<url>https?:\/\/[^\s<>"']{1,${LIMIT}}[^\s<>"'.,;:!?)\]])`,
  ].join('|'),
  'gm',
);

/**
 * Untrusted text as DOM nodes: **bold**, `code`, fenced blocks of it, [links](url) and bare
 * addresses; all else stays text, and the style sheet keeps its line breaks.
 */
export function formatText(text) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    fragment.append(text.slice(end, match.index), formatted(match.groups));
    end = match.index + match[0].length;
  }
  fragment.append(text.slice(end));
  return fragment;
}

function formatted({ block, code, bold, label, target, url }) {
  if (block !== undefined) return wrapped('pre', block.trimEnd());
  if (code) return wrapped('code', code);
  if (bold) return wrapped('strong', bold);
  if (url) return link(url, url);
  // What is relative is so to the document that the words come from, not to this page.
  return ABSOLUTE.test(target) ? link(label, target) : document.createTextNode(label);
}

function wrapped(tag, text) {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
}
