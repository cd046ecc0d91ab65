import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
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

test('it has at most 60 lines', () => {
  assert.ok(readFileSync(new URL(PACKAGES['async-chat/react']), 'utf8').split('\n').length <= 61);
});
