/**
 * Make the children of `old` those of `fresh`, and touch no node that is the same in both: what the reader has
 * selected or scrolled stays, and no image is loaded again.
 */
export function morph(old, fresh) {
  const wanted = [...fresh.childNodes];
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
  wanted.forEach((node, index) => {
    const present = old.childNodes[index];
    if (!present) old.append(node);
    else if (!present.isEqualNode(node)) change(present, node);
  });
}

function change(present, node) {
  const isSameKind = present.nodeType === node.nodeType && present.nodeName === node.nodeName;
  if (isSameKind && present.nodeType === Node.TEXT_NODE) present.data = node.data;
  else if (isSameKind && present.cloneNode().isEqualNode(node.cloneNode())) morph(present, node);
  else present.replaceWith(node);
}
