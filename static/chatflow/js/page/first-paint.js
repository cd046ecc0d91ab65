// What a user can do to the page as it came; a page that is hidden is never painted.
const SIGNS = ['keydown', 'pointerdown', 'click', 'input', 'dragenter', 'visibilitychange'];
// Milliseconds within which a page is painted whose browser tells of it at all.
const LATEST = 500;

/**
 * Begin once the page as it came is on the screen, which the beginning would hold up; at once where nobody looks, and
 * where a user does something: what listens by then gets the very event, so that an Enter sends and a click clicks.
 *
 * @param {() => void} begin called once
 */
export function afterFirstPaint(begin) {
  const waiting = new AbortController();
  const { signal } = waiting;
  const beginOnce = () => {
    if (signal.aborted) return;
    waiting.abort();
    begin();
  };
  if (document.hidden) return beginOnce();
  for (const sign of SIGNS) addEventListener(sign, beginOnce, { capture: true, signal });
  new PerformanceObserver(beginOnce).observe({ type: 'paint', buffered: true });
  setTimeout(beginOnce, LATEST);
}
