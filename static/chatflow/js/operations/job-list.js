/** The list of jobs: select a whole page, see how many are selected, copy the list's address. The page is complete without. */

/** Let the box at the head select all jobs of the page, and say how many are. */
export function joinSelection(root) {
  const all = root.querySelector('[data-jl-all]');
  const count = root.querySelector('[data-jl-count]');
  const boxes = [...root.querySelectorAll('input[name=job]')];
  if (!all) return;
  const tell = () => {
    const selected = boxes.filter((box) => box.checked).length;
    all.checked = selected === boxes.length;
    all.indeterminate = selected > 0 && selected < boxes.length;
    count.textContent = selected ? `(${selected})` : '';
  };
  all.hidden = false;
  all.addEventListener('change', () => {
    for (const box of boxes) box.checked = all.checked;
    tell();
  });
  for (const box of boxes) box.addEventListener('change', tell);
  tell();
}

/** Let the button copy the address that stands beside it; it isn't shown where a page may not copy. */
export function joinCopying(root, clipboard) {
  const button = root.querySelector('[data-jl-copy]');
  if (!button || !clipboard) return;
  button.hidden = false;
  button.addEventListener('click', async () => {
    await clipboard.writeText(root.querySelector('#jl-link').value);
    button.textContent = 'Copied';
  });
}

if (typeof document !== 'undefined') {
  joinSelection(document);
  joinCopying(document, navigator.clipboard);
}
