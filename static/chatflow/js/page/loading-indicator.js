const byId = (id) => document.getElementById(id);

/** Show what the running job is doing: `#progress` and its parts; no number means "some time". */
export function updateLoadingIndicator(message, progress, step = '') {
  const isKnown = Number.isFinite(progress);
  const bar = byId('progress-bar');
  byId('progress').hidden = false;
  setText('progress-message', message || 'Working…');
  setText('progress-step', step);
  setText('progress-percent', isKnown ? `${Math.round(progress)} %` : '');
  if (isKnown) bar.value = progress;
  else bar.removeAttribute('value');
}

export function hideLoadingIndicator() {
  byId('progress').hidden = true;
}

function setText(id, text) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
}
