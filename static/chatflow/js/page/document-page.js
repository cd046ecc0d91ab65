import { byId } from './dom.js';
import { MarkdownView } from './markdown-view.js';
import { followTheme } from './theme.js';

followTheme();

// The document's text stands in the page as it is, for readers without scripts; drawn, it is easier to read.
for (const section of document.querySelectorAll('[data-markdown]')) {
  const view = new MarkdownView();
  view.show(section.textContent);
  section.replaceChildren(view.node);
}

// What stands above the place has another height now.
const place = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
place?.scrollIntoView();
