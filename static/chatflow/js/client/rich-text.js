/** The chat page's Markdown, for `<chatflow-chat>` on a page of the same site: a library of its own would make it large. */

import { WORKER } from './worker-address.js';

// Where a Chatflow server has the client. A copy elsewhere has no page beside it.
const HOME = /\/js\/client\/[\w.-]+$/;
let loading = null;

/**
 * Load it, once.
 *
 * @param {string} server its address, empty for this page's own site
 * @returns {Promise<object|null>} `MarkdownView`, `learn(words)` and `css`, the address of its looks; null where it can't be had
 */
export function loadRichText(server) {
  const { location } = globalThis;
  // It stands beside this module, which need not know its own address then.
  const here = new URL(WORKER);
  const isOwn = [here.href, server].every((url) => location && new URL(url, location.href).origin === location.origin);
  if (!isOwn || !HOME.test(here.pathname)) return Promise.resolve(null);
  loading ??= load(here).catch(() => null);
  return loading;
}

async function load(here) {
  const page = await import(/* @vite-ignore */ /* webpackIgnore: true */ new URL('../built/rich-text.js', here).href);
  return { ...page, css: new URL('../../css/markdown.css', here).href };
}
