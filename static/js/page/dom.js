/** An element with these properties and children; untrusted text is safe in both. */
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** A button that calls `onclick`. */
export function button(textContent, onclick, className = 'chip') {
  return element('button', { type: 'button', className, textContent, onclick });
}
