// Some proxies read an escaped dot or slash as a bare one, and would ask for another path.
const ESCAPED = /%(?:2e|2f|5c)/i;

/**
 * Whether an image that untrusted text names may be loaded: from the hosts that are allowed, and of this site's own
 * only what was uploaded and what is the same for everybody. To ask for any other address can do something.
 *
 * @param {string} href absolute
 */
export function mayLoad(href) {
  const { host, pathname } = new URL(href);
  const { imageHosts = '', imagePaths = '' } = document.documentElement.dataset;
  if (host !== new URL(document.baseURI).host) return listed(imageHosts).includes(host);
  return !ESCAPED.test(pathname) && listed(imagePaths).some((path) => pathname.startsWith(path));
}

const listed = (names) => names.split(' ').filter(Boolean);
