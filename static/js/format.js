const LIMIT = 500;
const TOKEN = new RegExp(
  [
    String.raw`\*\*(?<bold>[^*\n]{1,${LIMIT}})\*\*`,
    String.raw`\[(?<label>[^\[\]\n]{1,${LIMIT}})\]\((?<target>[^()\s]{1,${LIMIT}})\)`,
    String.raw`(?<url>https?:\/\/[^\s<>"']{1,${LIMIT}}[^\s<>"'.,;:!?)\]])`,
  ].join('|'),
  'g',
);

/** The absolute address where `url` is an http(s) or relative one, else null. */
export function safeUrl(url) {
  try {
    const { protocol, href } = new URL(url, document.baseURI);
    return protocol === 'https:' || protocol === 'http:' ? href : null;
  } catch {
    return null;
  }
}

/** A link to `url`, or the bare label where the address isn't a safe one. */
export function link(label, url) {
  const href = typeof url === 'string' && safeUrl(url);
  if (!href) return document.createTextNode(label);
  const anchor = document.createElement('a');
  anchor.href = href;
  anchor.textContent = label;
  if (new URL(href).origin !== new URL(document.baseURI).origin) {
    anchor.target = '_blank';
    anchor.rel = 'noopener noreferrer';
  }
  return anchor;
}

/**
 * Untrusted text as DOM nodes: **bold**, [links](url) and bare addresses; all else stays text, and
 * the style sheet keeps its line breaks.
 */
export function formatText(text) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const { bold, label, target, url } = match.groups;
    fragment.append(text.slice(end, match.index), bold ? strong(bold) : label ? link(label, target) : link(url, url));
    end = match.index + match[0].length;
  }
  fragment.append(text.slice(end));
  return fragment;
}

function strong(text) {
  const node = document.createElement('strong');
  node.textContent = text;
  return node;
}
