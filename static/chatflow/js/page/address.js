/** The conversation that the page's address names: `?c=<session>`. */

export function sessionInAddress() {
  return new URL(location.href).searchParams.get('c') || null;
}

export function addressOf(sessionId) {
  const url = new URL(location.href);
  url.search = '';
  url.hash = '';
  if (sessionId) url.searchParams.set('c', sessionId);
  return url.href;
}

/** Name another conversation; Back leads to the one before, unless it is the same one under its first name. */
export function setAddress(sessionId, { replaces = false } = {}) {
  const url = addressOf(sessionId);
  if (url === location.href) return;
  if (replaces) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
}
