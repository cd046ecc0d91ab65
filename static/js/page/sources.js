import { element } from './dom.js';
import { link } from './links.js';

/** The documents that a message cites; all that is said of them is text. */
export function sourceList(sources) {
  if (!sources?.length) return null;
  const title = element('summary', { textContent: `Sources (${sources.length})` });
  return element('details', { className: 'sources' }, title, element('ol', {}, ...sources.map(item)));
}

function item({ title, url, relevance, content_preview, excerpt, snippet }) {
  const parts = [link(String(title ?? url ?? 'Untitled'), url)];
  if (Number.isFinite(relevance)) {
    const textContent = `${Math.round(relevance)}\u00a0%`;
    parts.push(' ', element('span', { className: 'sources__relevance', title: 'Relevance', textContent }));
  }
  const preview = content_preview ?? excerpt ?? snippet;
  if (preview) parts.push(element('span', { className: 'sources__excerpt', textContent: String(preview) }));
  return element('li', {}, ...parts);
}
