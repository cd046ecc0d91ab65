/** What `<chatflow-chat>` loads on other pages of the site, so that an answer looks there as it does here. */
export { MarkdownView } from './markdown-view.js';
export { learn } from './words.js';
