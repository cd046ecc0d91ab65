import { button, byId, element, icon, iconButton } from './dom.js';
import { sizeText } from './file-list.js';
import { announce, notify } from './notices.js';
import { gettext, ngettext } from './words.js';

const MOST = 10;

/** The files that go with the next message: dropped, pasted or chosen; they are uploaded at once. */
export class Attachments {
  #list = byId('attachments');
  #input = byId('file');
  #drop = byId('drop');
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
    byId('message').addEventListener('paste', (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      this.add(event.clipboardData.files);
    });
    this.#takeDrops(byId('main'));
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
    const room = MOST - this.#files.size;
    if (files.length > room) notify(ngettext('A message takes at most {count} file.', 'A message takes at most {count} files.', MOST));
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
    this.#uploading = this.#uploading.then(() => this.#start(entry));
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

  /** It is not sent with the message, and says why. */
  #fail(entry, error) {
    const again = () => {
      this.#remove(entry);
      this.#add(entry.file);
    };
    this.#files.delete(entry);
    entry.bar.remove();
    entry.node.dataset.failed = 'true';
    const isRefused = error.status >= 400 && error.status < 500 && error.status !== 429;
    const why = element('p', { className: 'attachment__error', textContent: error.message, attributes: { role: 'alert' } });
    entry.node.append(why, ...(isRefused ? [] : [button(gettext('Try again'), again, 'button button--small')]));
  }

  #remove(entry) {
    entry.aborting.abort();
    this.#files.delete(entry);
    entry.node.remove();
    this.#list.hidden = !this.#list.children.length;
    byId('message').focus();
    this.#onChange();
  }

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
      this.add(event.dataTransfer.files);
    });
  }
}
