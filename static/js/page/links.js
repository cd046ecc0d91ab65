// Browsers take a backslash for a slash, drop what can't be seen, and two slashes lead to another site.
const MISLEADING = /[\x00-\x20\x7f\\]|^\/\//;

/** The absolute address where `url` is an http(s) or relative one that says where it leads, else null. */
export function safeUrl(url) {
  if (MISLEADING.test(url)) return null;
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
