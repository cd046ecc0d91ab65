// Browsers take a backslash for a slash, drop what can't be seen, and two slashes lead to another site.
const MISLEADING = /[\x00-\x20\x7f\\]|^\/\//;
// What is relative is so to the document that the words come from, not to this page.
const ABSOLUTE = /^(?:https?:\/\/|\/)/i;

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

/** The address that a text links to, or null where it leads nowhere. */
export const addressInText = (url) => (ABSOLUTE.test(url) ? safeUrl(url) : null);

/** Whether it is this site's own. */
export const isOwn = (href) => new URL(href).origin === new URL(document.baseURI).origin;

/** A link to `url`, or the bare label where the address isn't a safe one. */
export function link(label, url) {
  const href = typeof url === 'string' && safeUrl(url);
  if (!href) return document.createTextNode(label);
  const anchor = document.createElement('a');
  anchor.href = href;
  anchor.textContent = label;
  if (!isOwn(href)) leadAway(anchor);
  return anchor;
}

/** Let a link open beside the page, and tell the other site nothing of this one. */
export function leadAway(anchor) {
  anchor.target = '_blank';
  anchor.rel = 'noopener noreferrer nofollow';
}
