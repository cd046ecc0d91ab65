/** Shows what is wrong with the last edit, until it is mended. Only a site under development has this on its page. */

// Milliseconds between two looks.
const EVERY = 500;

/**
 * Shows a mistake, or that there is none. What it says is text, whatever it looks like.
 *
 * @param {HTMLElement} banner
 * @param {Record<string, string> | null} mistake
 */
export function show(banner, mistake) {
  const shown = JSON.stringify(mistake);
  // Said again only when it's another one: it may be read aloud, or have been selected.
  if (banner.dataset.shown === shown) return;
  banner.dataset.shown = shown;
  for (const part of banner.querySelectorAll('[data-part]')) part.textContent = mistake?.[part.dataset.part] ?? '';
  banner.hidden = mistake === null;
}

/** Looks once, by `request`, which is as fetch() is. */
export async function look(banner, request = fetch) {
  try {
    const response = await request(banner.dataset.url);
    if (response.ok) show(banner, (await response.json()).mistake);
  } catch {
    // One server follows another; the next look will tell.
  }
}

const banner = globalThis.document?.getElementById('mistake');
if (banner) {
  for (;;) {
    if (!document.hidden) await look(banner);
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}
