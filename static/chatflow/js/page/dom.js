/**
 * An element with these properties and children; untrusted text is safe in both.
 *
 * @param {string} tag
 * @param {object} [properties] also `attributes` and `dataset`
 * @param {...(Node|string|null)} children null is left out
 */
export function element(tag, { attributes = {}, dataset = {}, ...properties } = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  Object.assign(node.dataset, dataset);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A button that calls `onclick`. */
export function button(textContent, onclick, className = 'chip') {
  return element('button', { type: 'button', className, textContent, onclick });
}

/** A button that shows an icon only; `label` is its name. */
export function iconButton(name, label, onclick, className = 'icon-button') {
  return element('button', { type: 'button', className, title: label, onclick, attributes: { 'aria-label': label } }, icon(name));
}

/** One of the drawings in static/chatflow/icons.svg; screen readers pass over it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  const { icons } = document.documentElement.dataset;
  // Other pages, which show a part of this one, have none.
  if (icons) use.setAttribute('href', `${icons}#${name}`);
  svg.append(use);
  return svg;
}

/** Let Escape close a form that has opened in the page; here it stops nothing else. */
export function closeByEscape(form, close) {
  form.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    close();
  });
}

/** Whether a key sends what was written; while an input method composes a character, Enter belongs to it. */
export const sends = ({ key, shiftKey, isComposing }) => key === 'Enter' && !shiftKey && !isComposing;

const SVG = 'http://www.w3.org/2000/svg';

/** Whether a focus in a field would bring up a keyboard over the page. */
export const isTouch = () => matchMedia('(pointer: coarse)').matches;

export const byId = (id) => document.getElementById(id);

/** Set a node's text where it differs: screen readers say again what is set again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
