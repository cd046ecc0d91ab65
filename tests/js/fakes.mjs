/** Stand-ins for what a browser has: fetch, EventSource, and as much of a document as is needed. */

/** An answer for FakeFetch. */
export function answer(status, body, headers = {}) {
  return new Response(typeof body === 'string' || body === null ? body : JSON.stringify(body), { status, headers });
}

/** A fetch that gives the queued answers in order (the last one again and again) and notes the requests. */
export function fakeFetch(...answers) {
  const requests = [];
  const fetch = (url, init = {}) => {
    requests.push({ url, ...init, body: init.body ? JSON.parse(init.body) : undefined });
    const next = answers.length > 1 ? answers.shift() : answers[0];
    return new Promise((resolve, reject) => {
      const abort = () => reject(init.signal.reason);
      if (init.signal?.aborted) return abort();
      init.signal?.addEventListener('abort', abort);
      if (next instanceof Error) reject(next);
      else if (typeof next === 'function') resolve(next(url, init));
      else if (next) resolve(next.clone());
    });
  };
  globalThis.fetch = fetch;
  return requests;
}

export class FakeEventSource {
  static all = [];
  readyState = 1;

  constructor(url) {
    this.url = url;
    FakeEventSource.all.push(this);
  }

  static get last() {
    return FakeEventSource.all.at(-1);
  }

  /** Deliver frames, as far as nobody has closed the stream. */
  send(...frames) {
    for (const frame of frames) {
      if (this.readyState === 2) return;
      this.onmessage({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
    }
  }

  /** The transport broke; the browser tries again. */
  drop() {
    this.readyState = 0;
    this.onerror(new Event('error'));
  }

  /** The server refused; the browser has given up. */
  refuse() {
    this.readyState = 2;
    this.onerror(new Event('error'));
  }

  close() {
    this.readyState = 2;
  }
}

export function installEventSource() {
  FakeEventSource.all = [];
  globalThis.EventSource = FakeEventSource;
}

/** Let everything run that waits for nothing but its turn. */
export async function settle() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

class FakeNode {
  children = [];

  append(...nodes) {
    for (const node of nodes) {
      const isFragment = node instanceof FakeNode && node.tag === '#fragment';
      if (isFragment) this.children.push(...node.children);
      else if (node !== '') this.children.push(node);
    }
  }

  contains(node) {
    return node === this || this.children.some((child) => child instanceof FakeNode && child.contains(node));
  }

  replaceChildren(...nodes) {
    this.children = [];
    this.append(...nodes);
  }

  get textContent() {
    return this.children.map((child) => (typeof child === 'string' ? child : child.textContent)).join('');
  }

  set textContent(text) {
    this.children = [String(text)];
  }
}

class FakeElement extends FakeNode {
  attributes = {};
  dataset = {};

  constructor(tag) {
    super();
    this.tag = tag;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  removeAttribute(name) {
    delete this.attributes[name];
    delete this[name];
  }

  remove() {
    this.removed = true;
  }

  addEventListener(type, listener) {
    this[`on${type}`] = listener;
  }

  focus() {
    FakeElement.focused = this;
  }

  /** Native checks are the browser's. */
  reportValidity() {
    return true;
  }

  /** Every element below this one with the tag, in order. */
  all(tag) {
    const inner = this.children.filter((child) => child instanceof FakeElement);
    return inner.flatMap((child) => [...(child.tag === tag ? [child] : []), ...child.all(tag)]);
  }
}

/** A document without a parser: what isn't built as a node stays text. */
export function installDocument(ids = []) {
  const byId = Object.fromEntries(ids.map((id) => [id, new FakeElement('div')]));
  globalThis.document = {
    baseURI: 'https://chat.test/ai-demo/chat/',
    cookie: '',
    documentElement: new FakeElement('html'),
    createElement: (tag) => new FakeElement(tag),
    createElementNS: (namespace, tag) => new FakeElement(tag),
    createTextNode: (text) => Object.assign(new FakeNode(), { children: [text] }),
    createDocumentFragment: () => new FakeElement('#fragment'),
    getElementById: (id) => byId[id] ?? null,
  };
  return byId;
}
