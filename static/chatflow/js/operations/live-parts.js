/** Parts of a page, marked by `data-live`, that are replaced by those of the same page as the server makes it now. */

/** Fetch this page again; null where it has no element of that id any more, as for those who have been signed out. */
export async function readPage(id) {
  const answer = await fetch(location.href, { cache: 'no-store', redirect: 'error' });
  const text = await answer.text();
  return new DOMParser().parseFromString(text, 'text/html').getElementById(id);
}

/** Put the parts of a fresh page into the places of the old ones, where they differ; what `isInUse` stays. */
export function takeOver(page, fresh, isInUse = () => false) {
  for (const part of page.querySelectorAll('[data-live]')) {
    const other = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (other && part.innerHTML !== other.innerHTML && !isInUse(part)) replace(part, other);
  }
}

/** Give a part the content of another one; what is open in it stays open, and what has the focus keeps it. */
export function replace(part, other) {
  const open = new Set([...part.querySelectorAll('details[open]')].map(({ dataset }) => dataset.key));
  const focused = document.activeElement?.closest('[data-key]')?.dataset.key;
  part.replaceChildren(...document.adoptNode(other).childNodes);
  for (const details of part.querySelectorAll('details')) {
    details.open = open.has(details.dataset.key);
    if (focused && details.dataset.key === focused) details.querySelector('summary').focus();
  }
}
