import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { installBrowser, removeBrowser } from './fake-browser.mjs';
import { mount } from './fake-react.mjs';
import { FakeServer } from './fake-server.mjs';
import { PACKAGES, runModule } from './packages.mjs';

test('the hook of docs/frontend.md shows what was said', async () => {
  const server = await new FakeServer().start();
  const page = readFileSync(new URL('../../../docs/frontend.md', import.meta.url), 'utf8');
  const [, code] = /^```javascript\n(.*?)^```/ms.exec(page);
  const { Chat } = await runModule(code, { 'https://chat.example.com': server.url });
  const view = mount(Chat);
  view.render();
  await new Promise((resolve) => setTimeout(resolve, 30));
  const button = view.render().children.find(({ type }) => type === 'button');
  await button.props.onClick();
  const said = view.render().children.filter(({ props }) => props.key !== undefined).map(({ children }) => children[0]);
  assert.deepEqual(said, ['hello', 'Echo: hello']);
  view.unmount();
  await server.stop();
});

test('what an earlier visit has left is sent', async () => {
  const { AsyncChatClient } = await import('async-chat');
  const { useChat } = await import('async-chat/react');
  const server = await new FakeServer().start();
  installBrowser();
  server.refuse = () => 401;
  const before = new AsyncChatClient(server.url, 'secret');
  const left = assert.rejects(before.send('later', { sessionId: 's' }), { code: 'disconnected' });
  await before.flush();
  before.disconnect();
  await left;
  server.refuse = () => null;
  const client = new AsyncChatClient(server.url, 'secret');
  const sent = new Promise((resolve) => (client.onOutbox = ({ length }) => length || resolve()));
  const view = mount(() => useChat(client, 's'));
  view.render();
  await sent;
  assert.deepEqual(server.sent.map(({ message, session_id: id }) => [message, id]), [['later', 's']]);
  view.unmount();
  removeBrowser();
  await server.stop();
});

test('a message that is answered by itself leaves the question open', async () => {
  const { AsyncChatClient } = await import('async-chat');
  const { useChat } = await import('async-chat/react');
  const server = await new FakeServer().start();
  installBrowser();
  server.awaiting = { kind: 'text', prompt: 'Who?' };
  const client = new AsyncChatClient(server.url, 'secret');
  const view = mount(() => useChat(client, 's'));
  while (!view.render().awaiting) await new Promise((resolve) => setImmediate(resolve));
  const aside = view.render().send('What is SSE?');
  assert.equal(view.render().awaiting, null);
  await aside;
  assert.deepEqual(view.render().awaiting, server.awaiting);
  server.awaiting = null;
  await view.render().send('Ada');
  assert.equal(view.render().awaiting, null);
  view.unmount();
  removeBrowser();
  await server.stop();
});

describe('a history that can’t be read at first', () => {
  let server, client, view;

  beforeEach(async () => {
    const { AsyncChatClient } = await import('async-chat');
    const { useChat } = await import('async-chat/react');
    server = await new FakeServer().start();
    installBrowser();
    client = new AsyncChatClient(server.url, 'secret');
    view = mount(() => useChat(client, 's'));
  });

  afterEach(async () => {
    view.unmount();
    removeBrowser();
    await server.stop();
  });

  const said = () => view.render().messages.map(({ content }) => content);
  const until = async (isSo) => {
    while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
  };

  test('shows nothing twice when it comes', async () => {
    const job = 'job-1';
    // The stream comes later too, and has the history read anew.
    server.fault = () => ({ status: 503 });
    server.refuse = ({ url }) => (url.includes('/history/') ? 503 : null);
    view.render();
    await until(() => view.render().error);
    await view.render().send('hello');
    assert.deepEqual(said(), ['hello', 'Echo: hello']);
    server.past = [{ role: 'user', content: 'before' }, { role: 'user', content: 'hello', job_id: job }, { role: 'assistant', content: 'Echo: hello', job_id: job }];
    server.refuse = () => null;
    server.fault = () => null;
    await until(() => said().includes('before'));
    assert.deepEqual(said(), ['before', 'hello', 'Echo: hello']);
  });

  test('is read also while something waits', async () => {
    server.refuse = ({ url }) => (url.endsWith('/send') ? 502 : null);
    server.past = [{ role: 'user', content: 'before' }];
    client.send('waiting', { sessionId: 's' }).catch(() => {});
    view.render();
    await until(() => said().length);
    assert.deepEqual(said(), ['before', 'waiting']);
  });
});

test('it has at most 60 lines', () => {
  assert.ok(readFileSync(new URL(PACKAGES['async-chat/react']), 'utf8').split('\n').length <= 61);
});
