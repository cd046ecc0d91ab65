import DOMPurify from '../vendor/purify.js';
import { mayLoad } from './image-places.js';
import { addressInText, leadAway } from './links.js';
import { gettext } from './words.js';

const TAGS =
  'a b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i img input kbd li ol p pre s span strong sub sup table tbody td th thead tr ul';
const OPTIONS = {
  ALLOWED_TAGS: TAGS.split(' '),
  // No class, id or style: what a model says must not look like the page's own controls.
  ALLOWED_ATTR: ['href', 'title', 'src', 'alt', 'start', 'align', 'type', 'checked', 'disabled'],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
const COLOURS = { ALLOWED_TAGS: ['span'], ALLOWED_ATTR: ['class'], RETURN_DOM_FRAGMENT: true };

const purify = DOMPurify(globalThis.window);
// In the document that nothing is loaded for; in the page's own an image would be fetched at once.
purify.addHook?.('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'IMG') checkImage(node);
  if (node.tagName === 'INPUT') checkInput(node);
});

/**
 * HTML that came of untrusted text as nodes in which nothing runs, nothing is loaded from where
 * that is not allowed, and no link misleads.
 */
export function sanitized(html) {
  const fragment = purify.sanitize(html, OPTIONS);
  for (const image of fragment.querySelectorAll('img:not([src])')) image.replaceWith(linkTo(image));
  for (const anchor of fragment.querySelectorAll('a')) checkLink(anchor);
  for (const box of fragment.querySelectorAll('input')) box.setAttribute('aria-label', box.checked ? gettext('Done') : gettext('To do'));
  return fragment;
}

/** The spans in which a highlighter puts code. */
export const coloured = (html) => purify.sanitize(html, COLOURS);

function checkLink(anchor) {
  const href = addressInText(anchor.getAttribute('href') ?? '');
  if (!href) return anchor.replaceWith(...anchor.childNodes);
  anchor.href = href;
  anchor.title ||= href;
  leadAway(anchor);
}

function checkImage(image) {
  const src = addressInText(image.getAttribute('src') ?? '');
  if (src && mayLoad(src)) {
    image.setAttribute('loading', 'lazy');
    image.setAttribute('referrerpolicy', 'no-referrer');
    return;
  }
  image.setAttribute('title', src ?? '');
  image.removeAttribute('src');
}

function linkTo(image) {
  const label = image.alt || image.title || '…';
  if (!image.title) return document.createTextNode(label);
  return Object.assign(document.createElement('a'), { href: image.title, textContent: label });
}

/** The boxes of a list of things to do; no field to type a password into. */
function checkInput(input) {
  if (input.getAttribute('type') !== 'checkbox') return input.remove();
  input.setAttribute('disabled', '');
}
