/**
 * Keeps the overview as it is now: the server sends the parts of the page that have changed, as it would have made them.
 * Where no event loop serves the site, or the stream was refused, the page itself is fetched again and again.
 */

const POLL_MS = 10_000;

/** Replaces parts of `page` by newer ones; what is open there, focused or scrolled stays so. */
export function show(page, parts) {
  for (const [name, html] of Object.entries(parts)) {
    const part = page.querySelector(`#overview-${name}`);
    if (part && part.innerHTML !== html) replace(part, html);
  }
}

function replace(part, html) {
  const open = [...part.querySelectorAll('details[open]')].map((each) => each.id);
  const places = [...part.querySelectorAll('.overview-scroll')].map((each) => each.scrollLeft);
  const focused = part.contains(document.activeElement) ? markOf(part, document.activeElement) : null;
  part.innerHTML = html;
  for (const each of part.querySelectorAll('details')) each.open = open.includes(each.id);
  part.querySelectorAll('.overview-scroll').forEach((each, place) => (each.scrollLeft = places[place] ?? 0));
  if (focused) find(part, focused)?.focus({ preventScroll: true });
}

const FOCUSABLE = 'a, summary, [tabindex]';

/** By what the element that takes the place of `element` is known: where it leads, else which one of its kind it is. */
function markOf(part, element) {
  const href = element.getAttribute('href');
  const same = [...part.querySelectorAll(FOCUSABLE)].filter((each) => each.getAttribute('href') === href);
  return { href, place: same.indexOf(element) };
}

function find(part, { href, place }) {
  return [...part.querySelectorAll(FOCUSABLE)].filter((each) => each.getAttribute('href') === href)[place];
}

/** The parts of a page that was fetched; null where it is another one, as for those who have been signed out. */
export function partsOf(page) {
  if (!page.querySelector('#overview')) return null;
  return Object.fromEntries([...page.querySelectorAll('.overview-part')].map((part) => [part.id.replace('overview-', ''), part.innerHTML]));
}

/** Follows the stream of `overview`, the page's element, and tells in `state` how it stands. */
export function follow(overview, state, { open = (url) => new EventSource(url), poll = repeat } = {}) {
  const source = open(overview.dataset.stream);
  let polling = false;
  source.onmessage = ({ data }) => {
    const { parts } = JSON.parse(data);
    if (parts) show(overview, parts);
    state.textContent = 'Live';
  };
  source.onerror = () => {
    // A stream that broke off is opened again by the browser itself; one that was refused is not.
    if (source.readyState !== 2) state.textContent = 'The connection is lost; trying again.';
    else if (!polling) {
      polling = true;
      poll(() => look(overview, state));
    }
  };
  return source;
}

function repeat(work) {
  work();
  setInterval(work, POLL_MS);
}

async function look(overview, state) {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
    const parts = answer.ok ? partsOf(new DOMParser().parseFromString(await answer.text(), 'text/html')) : null;
    if (parts) show(overview, parts);
    state.textContent = parts ? 'Looked at every 10 seconds' : 'Nothing newer can be shown. Reload the page.';
  } catch {
    state.textContent = 'The connection is lost; trying again.';
  }
}

const overview = globalThis.document?.getElementById('overview');
if (overview) follow(overview, document.getElementById('overview-state'));
