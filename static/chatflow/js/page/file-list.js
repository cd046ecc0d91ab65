import { element, icon } from './dom.js';
import { safeUrl } from './links.js';
import { number } from './words.js';

const IMAGE = /^image\/(png|jpeg|webp|gif)$/;

/** The files of a message; an image is shown, all others are links. */
export function fileList(files) {
  if (!files?.length) return null;
  return element('ul', { className: 'files' }, ...files.map(({ name, type, size, url }) => {
    const href = typeof url === 'string' ? safeUrl(url) : null;
    const isImage = href && IMAGE.test(type);
    const inside = isImage
      ? [element('img', { src: href, alt: name, loading: 'lazy' })]
      : [icon('file'), element('span', { className: 'files__name', textContent: name, dir: 'auto' }), sizeOf(size)];
    const properties = { className: isImage ? 'files__image' : 'files__file', title: name };
    return element('li', {}, href ? element('a', { href, target: '_blank', ...properties }, ...inside) : element('span', properties, ...inside));
  }));
}

/** A size in bytes, as people say it, and as the server says it: see chatflow/workflows/sizes.py. */
export function sizeText(bytes) {
  if (bytes < 1024) return `${number(bytes)} B`;
  const units = ['kB', 'MB', 'GB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number(value, { maximumSignificantDigits: value < 10 ? 2 : 3 })} ${units[unit]}`;
}

const sizeOf = (size) => (Number.isFinite(size) ? element('span', { className: 'files__size', textContent: sizeText(size) }) : null);
