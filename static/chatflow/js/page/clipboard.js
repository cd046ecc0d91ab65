import { announce } from './notices.js';
import { gettext } from './words.js';

const SHOWN = 1600;

/** Copy `text`, and let the `button` say so. */
export async function copyText(text, button) {
  const isCopied = await write(text);
  announce(isCopied ? gettext('Copied') : gettext('It could not be copied'));
  if (!isCopied) return;
  button.dataset.done = 'true';
  setTimeout(() => delete button.dataset.done, SHOWN);
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writeWithoutClipboard(text);
  }
}

/** For pages that come over plain http from another machine: they have no clipboard. */
function writeWithoutClipboard(text) {
  const field = Object.assign(document.createElement('textarea'), { value: text, className: 'visually-hidden' });
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand('copy');
  field.remove();
  return isCopied;
}
