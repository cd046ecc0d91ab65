import { element } from './dom.js';
import { link, safeUrl } from './links.js';
import { plain } from './markdown.js';
import { gettext, ngettext } from './words.js';

const NUMBER = /\[(\d{1,2})\]/;

/** The documents that a message cites; all that is said of them is text. */
export function sourceList(sources) {
  if (!sources?.length) return null;
  const title = element('summary', { textContent: ngettext('{count} source', '{count} sources', sources.length) });
  return element('details', { className: 'sources' }, title, element('ol', {}, ...sources.map(item)));
}

function item({ title, url, relevance, content_preview, excerpt, snippet }) {
  const parts = [link(String(title ?? url ?? gettext('Untitled')), url)];
  if (Number.isFinite(relevance)) {
    const textContent = `${Math.round(relevance)}\u00a0%`;
    parts.push(' ', element('span', { className: 'sources__relevance', title: gettext('Relevance'), textContent }));
  }
  const preview = content_preview ?? excerpt ?? snippet;
  if (preview) parts.push(element('span', { className: 'sources__excerpt', dir: 'auto', textContent: plain(String(preview)) }));
  return element('li', {}, ...parts);
}

/** What makes links of the numbers in a text, such as [1], by which it cites its sources. */
export function citer(sources) {
  const urls = (sources ?? []).map(({ url }) => (typeof url === 'string' ? safeUrl(url) : null));
  if (!urls.some(Boolean)) return undefined;
  return (fragment) => {
    const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) if (!text.parentElement?.closest('a, code')) citeIn(text, urls, sources);
  };
}

function citeIn(text, urls, sources) {
  for (let rest = text; rest; ) {
    const found = NUMBER.exec(rest.data);
    if (!found) return;
    const index = Number(found[1]) - 1;
    const mark = rest.splitText(found.index);
    rest = mark.splitText(found[0].length);
    if (urls[index]) mark.replaceWith(citation(index + 1, urls[index], sources[index].title));
  }
}

function citation(count, href, title) {
  const label = gettext('Source {number}: {title}', { number: count, title: title ?? href });
  return element('a', { className: 'citation', href, title: label, textContent: count, attributes: { 'aria-label': label } });
}
