/** `<chatflow-chat>` on as much of a document as it takes. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { AsyncChatClient } from '../../../static/chatflow/js/client/async-chat.js';
import { installDocument } from '../fakes.mjs';
import { installBrowser, removeBrowser } from './fake-browser.mjs';
import { FakeServer } from './fake-server.mjs';

installDocument();
document.createRange = () => ({ createContextualFragment: () => null });
globalThis.CSSStyleSheet = class {
  replaceSync() {}
};
globalThis.customElements = { define() {} };
globalThis.HTMLElement = class {
  attributes = {};
  #parts = {};

  attachShadow() {
    const querySelector = (selector) => (this.#parts[selector] ??= document.createElement(selector));
    this.listeners = {};
    const addEventListener = (type, listener) => (this.listeners[type] = listener);
    this.shadow = { querySelector, addEventListener, replaceChildren: () => (this.#parts = {}) };
    return this.shadow;
  }

  getAttribute(name) {
    return this.attributes[name] ?? null;
  }
};
const { ChatflowChat } = await import('../../../static/chatflow/js/client/chatflow-chat.js');

let server, chat;

beforeEach(async () => {
  server = await new FakeServer().start();
  installBrowser();
  chat = new ChatflowChat();
  chat.attributes = { src: server.url, token: 'secret', session: 'first' };
});

afterEach(async () => {
  chat.disconnectedCallback();
  delete document.documentElement.lang;
  removeBrowser();
  await server.stop();
});

const said = () => chat.shadow.querySelector('.messages').textContent;

async function until(isSo) {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

test('another conversation is shown also while an answer is written', async () => {
  server.past = [{ role: 'user', content: 'hello' }];
  server.active = { job_id: 'workflow_abc' };
  chat.connectedCallback();
  await until(() => !chat.shadow.querySelector('.work').hidden && said() === 'hello');
  await until(() => server.requests.some(({ url }) => url.includes('workflow_abc')));
  server.active = null;
  server.past = [{ role: 'user', content: 'elsewhere' }];
  chat.attributes.session = 'second';
  chat.attributeChangedCallback('session', 'first', 'second');
  await until(() => server.requests.some(({ url }) => url.endsWith('/second')));
  // A history that was asked for later comes later.
  await new AsyncChatClient(server.url, 'secret').history('third');
  assert.equal(said(), 'elsewhere');
});

test('what was refused goes back to the conversation that it was said in', async () => {
  server.refuse = () => 401;
  const before = new AsyncChatClient(server.url, 'secret');
  for (const [message, sessionId] of [['here', 'first'], ['there', 'other']]) before.send(message, { sessionId }).catch(() => {});
  await before.flush();
  before.disconnect();
  server.refuse = ({ url }) => (url.endsWith('/send') ? 400 : null);
  chat.connectedCallback();
  const client = new AsyncChatClient(server.url, 'secret');
  await until(() => client.draft('first') && client.draft('other'));
  assert.equal(chat.shadow.querySelector('textarea').value, 'here');
  assert.deepEqual([client.draft('first'), client.draft('other')], ['here', 'there']);
});

/** The chat with an open question, after the history was shown. */
async function asked(awaiting) {
  server.past = [{ role: 'assistant', content: 'May I?' }];
  server.awaiting = awaiting;
  chat.connectedCallback();
  const choices = chat.shadow.querySelector('.choices');
  await until(() => choices.children.length > 0);
  return choices;
}

const labels = (choices) => choices.all('button').map(({ textContent }) => textContent);

test('an approval shows what it is about', async () => {
  const choices = await asked({ kind: 'approval', approval_id: 'a', prompt: 'May I?', details: { Invoice: '<b>', Lines: 3 } });
  assert.deepEqual(labels(choices), ['Yes', 'No', 'Leave the question']);
  assert.deepEqual(choices.all('p').map(({ textContent }) => textContent), ['Invoice: <b>\nLines: 3']);
});

test('what has a form is filled in elsewhere', async () => {
  const choices = await asked({ kind: 'approval', approval_id: 'a', prompt: 'May I?', details: {}, schema: { properties: { n: { type: 'integer' } } } });
  assert.deepEqual(labels(choices), ['No', 'Leave the question']);
  assert.deepEqual(choices.all('p').map(({ textContent }) => textContent), ['This has to be filled in on the chat page.']);
  assert.equal(choices.all('a')[0].href, `${server.url}/ai-demo/chat/?c=first`);
});

test('it speaks the language of its page', async () => {
  document.documentElement.lang = 'de-AT';
  const choices = await asked({ kind: 'confirm', prompt: 'May I?', optional: true });
  assert.deepEqual(labels(choices), ['Ja', 'Nein', 'Überspringen', 'Frage verlassen']);
  chat.closest = () => ({ lang: 'en' });
  chat.attributeChangedCallback('lang', 'de', 'en');
  const anew = () => labels(chat.shadow.querySelector('.choices'));
  await until(() => anew().length > 0);
  assert.deepEqual(anew(), ['Yes', 'No', 'Skip', 'Leave the question']);
});

test('files are refused with a sentence, and text that comes along is not', async () => {
  chat.connectedCallback();
  let prevented = 0;
  const preventDefault = () => (prevented += 1);
  const { paste, drop, dragover } = chat.listeners;
  paste({ type: 'paste', clipboardData: { types: ['text/plain', 'Files'] }, preventDefault });
  drop({ type: 'drop', dataTransfer: { types: ['text/plain'] }, preventDefault });
  assert.equal(prevented, 0);
  dragover({ type: 'dragover', dataTransfer: { types: ['Files'] }, preventDefault });
  assert.equal(said(), '');
  for (const [take, event] of [[paste, { clipboardData: { types: ['Files'] } }], [drop, { dataTransfer: { types: ['Files'] } }]]) {
    chat.shadow.querySelector('.messages').replaceChildren();
    take({ ...event, preventDefault });
    assert.equal(said(), 'Files can be sent on the chat page.');
  }
  assert.equal(prevented, 3);
});

test('a server that does not admit the page is told from one that is away', async () => {
  const state = () => chat.shadow.querySelector('.state').textContent;
  globalThis.location = new URL('https://shop.test/');
  const { fetch } = globalThis;
  let isThere = false;
  // As a browser has it: to a page that is not admitted a server is there for requests only that read nothing.
  globalThis.fetch = (url, { mode } = {}) => (mode === 'no-cors' && isThere ? Promise.resolve() : Promise.reject(new TypeError('Failed to fetch')));
  try {
    chat.connectedCallback();
    await until(() => state() === 'Reconnecting… Nothing is lost.');
    assert.equal(said(), '');
    isThere = true;
    chat.disconnectedCallback();
    chat.connectedCallback();
    await until(() => state() === 'The server admits no pages of https://shop.test: its CORS_ALLOWED_ORIGINS has to name it.');
  } finally {
    chat.disconnectedCallback();
    globalThis.fetch = fetch;
    delete globalThis.location;
  }
});

test('who is signed out is shown the way on', async () => {
  server.fault = () => ({ status: 401 });
  globalThis.location = new URL('/shop/?p=1', server.url);
  try {
    chat.attributes = { session: 'first', src: server.url };
    chat.connectedCallback();
    const state = chat.shadow.querySelector('.state');
    await until(() => state.all('a').length > 0);
    assert.equal(state.textContent, 'You are signed out. What you have written is kept. Sign in');
    assert.equal(state.all('a')[0].href, `${server.url}/accounts/login/?next=%2Fshop%2F%3Fp%3D1`);
  } finally {
    delete globalThis.location;
  }
});

test('whoever reads the end stays there when buttons take its place', async () => {
  chat.connectedCallback();
  await until(() => server.requests.some(({ url }) => url.endsWith('/first')));
  const box = chat.shadow.querySelector('.messages');
  const choices = chat.shadow.querySelector('.choices');
  const seen = [];
  Object.defineProperty(box, 'scrollTop', { get: () => 400, set: () => seen.push(choices.children.length) });
  Object.assign(box, { scrollHeight: 500, clientHeight: 100 });
  chat.disconnectedCallback();
  chat.shadow.replaceChildren = () => {};
  await asked({ kind: 'confirm', prompt: 'May I?' });
  assert.equal(seen.at(-1), 3);
});

test('a message that is answered by itself leaves the question open', async () => {
  chat.dispatchEvent = () => {};
  globalThis.CustomEvent ??= class {};
  const choices = await asked({ kind: 'text', prompt: 'Who?' });
  const box = chat.shadow.querySelector('textarea');
  box.value = 'What is SSE?';
  chat.shadow.querySelector('form').onsubmit({ preventDefault() {} });
  assert.equal(choices.children.length, 0);
  await until(() => said().includes('Echo: What is SSE?') && choices.children.length > 0);
  assert.deepEqual(labels(choices), ['Leave the question']);
});
