import { AsyncChatClient } from './async-chat.js';
import { CSS, markup } from './chatflow-look.js';
import { wordsOf } from './chatflow-words.js';
import { loadRichText } from './rich-text.js';
import { openQuestion } from './said.js';

const SENTENCES = {
  reconnecting: 'Reconnecting… Nothing is lost.',
  offline: 'You are offline. What you send waits here.',
};
const YES_NO = [{ value: 'yes', label: 'Yes' }, { value: 'no', label: 'No' }];

/**
 * `<chatflow-chat src="https://chat.example.com" token="…" session="…">`: a chat for any page, in the language that the
 * nearest `lang` names. `path` is that of the API there, if it isn't /ai-demo/, and `login` that of the page where people
 * sign in. On a page of the server's own site answers are shown as Markdown, elsewhere as text.
 */
export class ChatflowChat extends HTMLElement {
  static observedAttributes = ['src', 'path', 'token', 'session', 'lang'];
  #root = this.attachShadow({ mode: 'open' });
  #client = null;
  #stop = null;
  #jobId = null;
  #article = null;
  #question = null;
  // What was said before could not be read.
  #isMissing = false;
  // The server has answered this page, so it admits it.
  #isAdmitted = false;
  #words = {};
  // How Markdown is shown, where it can be; and what shows each answer.
  #rich = null;
  #views = new WeakMap();

  constructor() {
    super();
    this.#root.addEventListener('keydown', ({ key }) => key === 'Escape' && this.#cancel());
    for (const type of ['dragover', 'drop', 'paste']) this.#root.addEventListener(type, (event) => this.#refuseFiles(event));
  }

  connectedCallback() {
    this.#draw();
    this.#connect();
  }

  disconnectedCallback() {
    this.#stop?.();
    this.#client?.disconnect();
    this.#client = this.#jobId = this.#article = this.#question = null;
  }

  attributeChangedCallback(name, before, now) {
    if (!this.#client || before === now) return;
    this.disconnectedCallback();
    this.connectedCallback();
  }

  #draw() {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    this.#root.adoptedStyleSheets = [sheet];
    this.#words = wordsOf((this.closest?.('[lang]') ?? document.documentElement).lang);
    // Our own words only.
    this.#root.replaceChildren(document.createRange().createContextualFragment(markup((text) => this.#say(text))));
    const form = this.#find('form');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send(this.#find('textarea').value);
    });
    form.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#find('textarea').addEventListener('input', ({ target }) => this.#client.saveDraft(target.value));
    this.#find('.stop').addEventListener('click', () => this.#cancel());
  }

  async #connect() {
    const options = { path: this.getAttribute('path') ?? undefined, worker: null };
    const client = new AsyncChatClient(this.getAttribute('src') ?? '', this.getAttribute('token'), options);
    this.#isAdmitted = false;
    const { sessionId: fresh } = client;
    client.sessionId = this.getAttribute('session') || this.#lastSession(fresh);
    this.#client = client;
    client.onRefused = ({ session_id: id, message }, error) => {
      if (id === this.#client?.sessionId) this.#putBack(message, error);
      else client.addToDraft(message, id);
    };
    client.onStart = ({ job_id: jobId }) => (this.#jobId = jobId);
    client.onDelta = (text) => this.#write(text);
    client.onProgress = ({ progress, message }) => this.#report(progress, message);
    this.#stop = client.watch({ onConnection: (state) => this.#connected(state) });
    this.#find('textarea').value = client.draft();
    const rich = await loadRichText(this.getAttribute('src') ?? '');
    if (client !== this.#client) return;
    if (rich) this.#enrich(rich);
    if (client.sessionId !== fresh) await this.#restore(client);
    if (client !== this.#client) return;
    const waiting = client.waiting.filter(({ session_id: id }) => id === client.sessionId);
    for (const { message } of waiting) this.#add('user', message);
    await client.flush();
    if (waiting.length) await this.#restore(client);
  }

  #connected(state) {
    this.#isAdmitted ||= state !== 'reconnecting' && state !== 'offline';
    if (state === 'signed-out') return this.#tell(...this.#signedOut());
    this.#tell(this.#say(SENTENCES[state] ?? ''));
    if (state === 'reconnecting' && !this.#isAdmitted) this.#explain();
    if (state === 'connected' && this.#isMissing) this.#restore(this.#client);
  }

  /** Whoever wrote the page has to mend a token, and its reader a session. */
  #signedOut() {
    if (this.getAttribute('token')) return [this.#say('The token is not accepted.')];
    const next = encodeURIComponent(location.pathname + location.search);
    return [this.#say('You are signed out. What you have written is kept.'), ' ', this.#link('Sign in', `${this.getAttribute('login') ?? '/accounts/login/'}?next=${next}`)];
  }

  /** A browser calls a server that refuses the page one that can't be reached; a request that reads nothing tells them apart. */
  async #explain() {
    const { location } = globalThis;
    const client = this.#client;
    const home = new URL(this.getAttribute('src') ?? '', location?.href);
    if (!location || home.origin === location.origin) return;
    const isThere = await fetch(home, { mode: 'no-cors' }).then(() => true, () => false);
    if (!isThere || this.#isAdmitted || client !== this.#client) return;
    const sentence = 'The server admits no pages of {origin}: its CORS_ALLOWED_ORIGINS has to name it.';
    this.#tell(this.#say(sentence).replace('{origin}', location.origin));
  }

  /** From here on answers are shown as the page shows them. */
  #enrich(rich) {
    rich.learn(this.#words);
    this.#rich = rich;
    this.#root.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href: rich.css }));
  }

  /** Show what was said, and go on with what is being said. */
  async #restore(client) {
    this.#isMissing = false;
    const past = await client.history().catch((error) => {
      this.#isMissing = error.status !== 404;
      // The line below says it already where it is the network.
      if (this.#isMissing && error.code !== 'network') this.#fail(error);
    });
    if (client !== this.#client || !past || this.#article) return;
    this.#find('.messages').replaceChildren();
    for (const { role, content, awaiting } of past.messages) {
      const article = this.#add(role, role === 'user' ? content : '');
      if (role !== 'user') this.#follow(() => this.#put(article, content, { awaiting }));
    }
    if (past.active_job) this.#settle(client.resume(past.active_job));
    else this.#ask(past.awaiting);
  }

  /** The conversation of this tab: a reload goes on with it. */
  #lastSession(fresh) {
    const name = `chatflow-chat ${this.getAttribute('src') ?? ''} ${this.id}`;
    try {
      if (!sessionStorage.getItem(name)) sessionStorage.setItem(name, fresh);
      return sessionStorage.getItem(name);
    } catch {
      return fresh;
    }
  }

  #send(text, label = text) {
    if (!text.trim()) return;
    this.#add('user', label);
    const isAsked = Boolean(this.#question);
    this.#ask(null);
    this.#find('textarea').value = '';
    this.#client.saveDraft('');
    this.#settle(this.#client.send(text), { text, isAsked });
  }

  /** Show what becomes of a message; words that were not taken go back to where they can be changed. */
  async #settle(pending, { text, isAsked = false } = {}) {
    const client = this.#client;
    const article = this.#add('assistant', '');
    this.#article = article;
    this.#busy(true);
    try {
      const { response, awaiting = isAsked ? await openQuestion(client) : undefined } = await pending;
      if (client !== this.#client) return;
      this.#follow(() => this.#put(article, response, { awaiting }));
      this.#ask(awaiting);
      this.dispatchEvent(new CustomEvent('answer', { detail: { response, awaiting } }));
    } catch (error) {
      if (client !== this.#client) return;
      if (!article.textContent) article.remove();
      if (text && !error.jobId) this.#putBack(text, error);
      else this.#fail(error);
    }
    if (this.#article === article) this.#busy(false);
  }

  #putBack(text, error) {
    this.#fail(error);
    const box = this.#find('textarea');
    this.#client.saveDraft(box.value);
    box.value = this.#client.addToDraft(text);
  }

  #cancel() {
    if (this.#jobId) this.#client.cancel(this.#jobId).catch((error) => this.#fail(error));
  }

  #write(text) {
    this.#follow(() => this.#article && this.#put(this.#article, text, { growing: true }));
  }

  /** Show an answer. Consent is given to the words as they stand: what asks for it stays text. */
  #put(article, text, { growing = false, awaiting } = {}) {
    if (!this.#rich || !text || awaiting?.kind === 'approval') return void (article.textContent = text);
    if (!this.#views.has(article)) this.#views.set(article, new this.#rich.MarkdownView());
    const view = this.#views.get(article);
    view.show(text, { growing });
    if (view.node.parentNode !== article) article.replaceChildren(view.node);
    return undefined;
  }

  #report(percent, message) {
    this.#find('progress').value = percent ?? 0;
    this.#find('.step').textContent = message ?? '';
  }

  /** Show what an open question is about, and its choices, if it has some. */
  #ask(awaiting) {
    this.#question = awaiting;
    const { choices, details, kind, optional, schema } = awaiting ?? {};
    // What has a form can't be approved by a word.
    const decisions = { confirm: YES_NO, approval: schema ? YES_NO.slice(1) : YES_NO }[kind] ?? [];
    const skip = optional ? [{ value: 'skip', label: 'Skip' }] : [];
    const leave = awaiting ? [{ value: 'cancel', label: 'Leave the question' }] : [];
    const own = [...(choices ? [] : decisions), ...skip, ...leave].map(({ value, label }) => ({ value, label: this.#say(label) }));
    const buttons = [...(choices ?? []), ...own].map(({ value, label }) => {
      const button = document.createElement('button');
      Object.assign(button, { type: 'button', textContent: label });
      button.addEventListener('click', () => this.#send(String(value), label));
      return button;
    });
    const notes = [detailsOf(details), schema && this.#elsewhere('This has to be filled in {link}.')].filter(Boolean);
    this.#follow(() => this.#find('.choices').replaceChildren(...notes, ...buttons));
  }

  /** Forms and files are more than this element takes; a link leads to where they are. */
  #elsewhere(sentence) {
    const root = `/${this.getAttribute('path') ?? 'ai-demo'}/`.replace(/\/+/g, '/');
    const path = `${root}chat/?c=${encodeURIComponent(this.#client.sessionId)}`;
    const link = Object.assign(this.#link('on the chat page', path), { target: '_blank', rel: 'noopener' });
    const [before, after] = this.#say(sentence).split('{link}');
    return note(before, link, after);
  }

  /** A link to a page of the server's. */
  #link(label, path) {
    const home = (this.getAttribute('src') ?? '').replace(/\/+$/, '');
    return Object.assign(document.createElement('a'), { href: home + path, textContent: this.#say(label) });
  }

  /** A browser would drop a pasted file, and open a dropped one in the page's place. */
  #refuseFiles(event) {
    const { types } = event.dataTransfer ?? event.clipboardData;
    // Text that comes along is pasted as ever.
    if (!types.includes('Files') || (event.type === 'paste' && types.includes('text/plain'))) return;
    event.preventDefault();
    if (event.type !== 'dragover') this.#complain(this.#elsewhere('Files can be sent {link}.'));
  }

  #add(role, text) {
    const article = document.createElement('article');
    article.className = role;
    article.setAttribute('aria-label', this.#say(role === 'user' ? 'You' : 'Answer'));
    article.textContent = text;
    this.#show(article);
    return article;
  }

  #show(node) {
    const box = this.#find('.messages');
    box.append(node);
    box.scrollTop = box.scrollHeight;
  }

  #fail(error) {
    this.#complain(this.#say(error.message));
  }

  #complain(part) {
    const box = document.createElement('div');
    box.className = 'error';
    box.setAttribute('role', 'alert');
    box.append(part);
    this.#show(box);
  }

  /** Say in a line what keeps the conversation from going on. */
  #tell(...parts) {
    this.#find('.state').replaceChildren(...parts);
  }

  /** The same in the element's language. */
  #say(text) {
    return this.#words[text] ?? text;
  }

  #busy(isBusy) {
    this.#follow(() => (this.#find('.work').hidden = !isBusy));
    this.#report(0, '');
    if (!isBusy) this.#jobId = this.#article = null;
  }

  /** Change what is shown; a reader who is at the end stays there. */
  #follow(change) {
    const box = this.#find('.messages');
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
    change();
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }
}

/** What is to be approved, as text. */
function detailsOf(details) {
  const entries = Object.entries(details ?? {});
  const said = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
  return entries.length ? note(entries.map(([name, value]) => `${name}: ${said(value)}`).join('\n')) : null;
}

function note(...parts) {
  const paragraph = document.createElement('p');
  paragraph.append(...parts);
  return paragraph;
}

customElements.define('chatflow-chat', ChatflowChat);
