import { AsyncChatClient } from './async-chat.js';
import { CSS, MARKUP } from './chatflow-look.js';
import { openQuestion } from './said.js';

const SENTENCES = {
  reconnecting: 'Reconnecting… Nothing is lost.',
  offline: 'You are offline. What you send waits here.',
  'signed-out': 'You are signed out.',
};
const YES_NO = [{ value: 'yes', label: 'Yes' }, { value: 'no', label: 'No' }];

/**
 * `<chatflow-chat src="https://chat.example.com" token="…" session="…">`: a chat for any page. All that a model says
 * is put in as text.
 */
export class ChatflowChat extends HTMLElement {
  static observedAttributes = ['src', 'token', 'session'];
  #root = this.attachShadow({ mode: 'open' });
  #client = null;
  #stop = null;
  #jobId = null;
  #article = null;
  #question = null;
  // What was said before could not be read.
  #isMissing = false;

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
    // Our own words only.
    this.#root.replaceChildren(document.createRange().createContextualFragment(MARKUP));
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
    this.#root.addEventListener('keydown', ({ key }) => key === 'Escape' && this.#cancel());
  }

  async #connect() {
    const client = new AsyncChatClient(this.getAttribute('src') ?? '', this.getAttribute('token'), { worker: null });
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
    if (client.sessionId !== fresh) await this.#restore(client);
    if (client !== this.#client) return;
    const waiting = client.waiting.filter(({ session_id: id }) => id === client.sessionId);
    for (const { message } of waiting) this.#add('user', message);
    await client.flush();
    if (waiting.length) await this.#restore(client);
  }

  #connected(state) {
    this.#say(SENTENCES[state] ?? '');
    if (state === 'connected' && this.#isMissing) this.#restore(this.#client);
  }

  /** Show what was said, and go on with what is being said. */
  async #restore(client) {
    this.#isMissing = false;
    const past = await client.history().catch((error) => {
      this.#isMissing = error.status !== 404;
      if (this.#isMissing) this.#fail(error);
    });
    if (client !== this.#client || !past || this.#article) return;
    this.#find('.messages').replaceChildren();
    for (const { role, content } of past.messages) this.#add(role, content);
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
      this.#follow(() => (article.textContent = response));
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
    this.#follow(() => this.#article && (this.#article.textContent = text));
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
    const buttons = [...(choices ?? decisions), ...skip, ...leave].map(({ value, label }) => {
      const button = document.createElement('button');
      Object.assign(button, { type: 'button', textContent: label });
      button.addEventListener('click', () => this.#send(String(value), label));
      return button;
    });
    const notes = [detailsOf(details), schema && this.#elsewhere()].filter(Boolean);
    this.#follow(() => this.#find('.choices').replaceChildren(...notes, ...buttons));
  }

  /** A form is more than this element shows. */
  #elsewhere() {
    const link = document.createElement('a');
    const home = (this.getAttribute('src') ?? '').replace(/\/+$/, '');
    const href = `${home}/ai-demo/chat/?c=${encodeURIComponent(this.#client.sessionId)}`;
    Object.assign(link, { href, target: '_blank', rel: 'noopener', textContent: 'on the chat page' });
    return note('This has to be filled in ', link, '.');
  }

  #add(role, text) {
    const article = document.createElement('article');
    article.className = role;
    article.setAttribute('aria-label', role === 'user' ? 'You' : 'Answer');
    article.textContent = text;
    const box = this.#find('.messages');
    box.append(article);
    box.scrollTop = box.scrollHeight;
    return article;
  }

  #fail(error) {
    this.#add('error', error.message).setAttribute('role', 'alert');
  }

  #say(sentence) {
    this.#find('.state').textContent = sentence;
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
