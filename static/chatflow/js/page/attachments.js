import { button, byId, element, icon, iconButton } from './dom.js';
import { sizeText } from './file-list.js';
import { announce, notify } from './notices.js';
import { reasonOf } from './reasons.js';
import { gettext, ngettext } from './words.js';

const MOST = 10;

/** The files that go with the next message: dropped, pasted or chosen; they are uploaded at once. */
export class Attachments {
  #list = byId('attachments');
  #input = byId('file');
  #drop = byId('drop');
  #largest = Number(this.#input.dataset.largest);
  #upload;
  #onChange;
  #files = new Set();
  // The server reads one document of a user at a time.
  #uploading = Promise.resolve();

  /**
   * @param {(file: File, onProgress: (part: number) => void, signal: AbortSignal) => Promise<object>} upload
   * @param {() => void} onChange
   */
  constructor(upload, onChange) {
    this.#upload = upload;
    this.#onChange = onChange;
    byId('attach').addEventListener('click', () => this.#input.click());
    this.#input.addEventListener('change', () => {
      this.add(this.#input.files);
      this.#input.value = '';
    });
    byId('message').addEventListener('paste', (event) => this.#onPaste(event));
    this.#takeDrops(document);
  }

  /** Whether none is under way any more. */
  get isReady() {
    return [...this.#files].every(({ document }) => document);
  }

  get isEmpty() {
    return this.#files.size === 0;
  }

  /** What was uploaded; the list is empty afterwards. */
  take() {
    const documents = [...this.#files].map(({ document }) => document).filter(Boolean);
    this.clear();
    return documents;
  }

  clear() {
    for (const { aborting } of this.#files) aborting.abort();
    this.#files.clear();
    this.#list.replaceChildren();
    this.#list.hidden = true;
    this.#onChange();
  }

  add(files) {
    const room = Math.max(0, MOST - this.#files.size);
    const excess = files.length - room;
    if (excess > 0) notify(leftOut(excess), { stays: true });
    for (const file of [...files].slice(0, room)) this.#add(file);
  }

  /** Put files back that were taken and not sent. */
  put(documents) {
    for (const document of documents) this.#finish(this.#show(document), document);
    this.#onChange();
  }

  /** Take files out again that were put back. */
  drop(documents) {
    for (const entry of this.#files) if (documents.includes(entry.document)) this.#remove(entry);
  }

  #add(file) {
    const entry = this.#show(file);
    // A server may cut off what is too large, and a browser then knows no reason.
    if (file.size > this.#largest) this.#refuse(entry, gettext('This file is larger than {size}.', { size: sizeText(this.#largest) }));
    else this.#uploading = this.#uploading.then(() => this.#start(entry));
    this.#onChange();
  }

  #show(file) {
    const bar = element('progress', { max: 1, value: 0, attributes: { 'aria-label': gettext('Uploading {name}', { name: file.name }) } });
    const remove = iconButton('close', gettext('Remove {name}', { name: file.name }), () => this.#remove(entry));
    const size = element('span', { className: 'files__size', textContent: sizeText(file.size) });
    const name = element('span', { className: 'files__name', textContent: file.name, dir: 'auto' });
    const node = element('li', { className: 'attachment' }, icon('file'), name, size, bar, remove);
    const entry = { file, node, bar, size, document: null, aborting: new AbortController() };
    this.#files.add(entry);
    this.#list.append(node);
    this.#list.hidden = false;
    return entry;
  }

  async #start(entry) {
    const { file, bar, aborting } = entry;
    if (aborting.signal.aborted) return;
    const onProgress = (part) => (bar.value = part);
    try {
      const { id, type, file_url: url } = await this.#upload(file, onProgress, aborting.signal);
      this.#finish(entry, { id, name: file.name, type, size: file.size, url });
      announce(gettext('{name} is uploaded', { name: file.name }));
    } catch (error) {
      if (!aborting.signal.aborted) this.#fail(entry, error);
    }
    this.#onChange();
  }

  #finish(entry, document) {
    entry.document = document;
    entry.bar.remove();
  }

  #fail(entry, error) {
    const again = () => {
      this.#remove(entry);
      this.#add(entry.file);
    };
    const isRefused = error.status >= 400 && error.status < 500 && ![401, 429].includes(error.status);
    this.#refuse(entry, reasonOf(error), isRefused ? null : button(gettext('Try again'), again, 'button button--small'));
  }

  /** It is not sent with the message, and says why. */
  #refuse(entry, text, way = null) {
    this.#files.delete(entry);
    entry.bar.remove();
    entry.node.dataset.failed = 'true';
    entry.node.append(element('p', { className: 'attachment__error', textContent: text, attributes: { role: 'alert' } }), ...(way ? [way] : []));
  }

  #remove(entry) {
    entry.aborting.abort();
    this.#files.delete(entry);
    entry.node.remove();
    this.#list.hidden = !this.#list.children.length;
    byId('message').focus();
    this.#onChange();
  }

  /** Text that comes along is pasted as ever; an image beside it is a picture of that text. */
  #onPaste(event) {
    const { types } = event.clipboardData;
    const isText = types.includes('text/plain');
    const files = filesOf(event.clipboardData).filter(({ type }) => !isText || !type.startsWith('image/'));
    if (!isText && types.includes('Files')) event.preventDefault();
    this.add(files);
  }

  /** Wherever they are dropped: the browser would open them in the page's place. */
  #takeDrops(place) {
    const hasFiles = ({ dataTransfer }) => dataTransfer?.types.includes('Files');
    let depth = 0;
    const show = (change) => {
      depth = Math.max(0, depth + change);
      this.#drop.hidden = depth === 0;
    };
    place.addEventListener('dragenter', (event) => hasFiles(event) && show(1));
    place.addEventListener('dragleave', (event) => hasFiles(event) && show(-1));
    place.addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
    place.addEventListener('drop', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      show(0);
      this.add(filesOf(event.dataTransfer));
    });
  }
}

/** The files of a drop or a paste; a folder, which comes as a file that can't be read, is told of. */
function filesOf({ items, files }) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.());
  const folders = new Set(entries.filter((entry) => entry?.isDirectory).map(({ name }) => name));
  if (folders.size) notify(gettext('A folder can’t be added; add its files.'), { stays: true });
  return [...files].filter(({ name }) => !folders.has(name));
}

const leftOut = (count) =>
  ngettext(
    'A message takes at most {most} files; {count} was left out.',
    'A message takes at most {most} files; {count} were left out.',
    count,
    { most: MOST },
  );
