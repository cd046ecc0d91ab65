import { element, icon } from './dom.js';

let count = 0;

/**
 * A button that opens a small menu: arrow keys go through it, Escape closes it.
 *
 * @param {HTMLButtonElement} opener
 * @param {() => object[]} entries called when it opens; each has `label`, `icon`, and `onClick` or `href` (a download)
 */
export function attachMenu(opener, entries) {
  const list = element('div', { id: `menu-${(count += 1)}`, className: 'menu', popover: 'auto', attributes: { role: 'menu' } });
  opener.setAttribute('aria-haspopup', 'menu');
  opener.setAttribute('aria-expanded', 'false');
  list.setAttribute('aria-label', opener.getAttribute('aria-label') ?? opener.textContent);
  opener.popoverTargetElement = list;
  list.addEventListener('beforetoggle', ({ newState }) => {
    if (newState === 'open') list.replaceChildren(...entries().map((entry) => item(entry, list, opener)));
  });
  list.addEventListener('toggle', ({ newState }) => {
    const isOpen = newState === 'open';
    opener.setAttribute('aria-expanded', String(isOpen));
    if (!isOpen) return;
    place(list, opener);
    list.firstElementChild?.focus();
  });
  list.addEventListener('keydown', (event) => move(event, list));
  opener.after(list);
}

function item({ label, icon: name, onClick, href, look = '' }, list, opener) {
  const inside = [icon(name), element('span', { textContent: label })];
  const attributes = { role: 'menuitem', tabindex: '-1' };
  if (href) return element('a', { href, download: '', className: 'menu__item', attributes, onclick: () => list.hidePopover() }, ...inside);
  const act = () => {
    list.hidePopover();
    opener.focus();
    onClick();
  };
  return element('button', { type: 'button', className: `menu__item ${look}`, attributes, onclick: act }, ...inside);
}

function place(list, opener) {
  const { top, bottom, left, right } = opener.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = list;
  const below = bottom + height + 8 < innerHeight;
  list.style.top = `${Math.max(8, below ? bottom + 4 : top - height - 4)}px`;
  const start = document.documentElement.dir === 'rtl' ? left : right - width;
  list.style.left = `${Math.min(Math.max(8, start), innerWidth - width - 8)}px`;
}

function move(event, list) {
  const items = [...list.children];
  const index = items.indexOf(document.activeElement);
  const steps = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: items.length - 1 };
  if (event.key === 'Tab') return list.hidePopover();
  if (!(event.key in steps)) return;
  event.preventDefault();
  items.at(steps[event.key] % items.length).focus();
}
