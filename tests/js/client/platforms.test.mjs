/** The client where there is less than in a browser: Node 18 has no crypto, React Native has signals without a reason. */

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { AsyncChatClient } from '../../../static/chatflow/js/client/async-chat.js';
import { FakeServer } from './fake-server.mjs';

const HOME = new URL('../../../static/chatflow/js/client/', import.meta.url);

/** Do `work` where a global is another one. */
async function withGlobal(name, value, work) {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  try {
    return await work();
  } finally {
    Object.defineProperty(globalThis, name, before);
  }
}

/** As much as React Native has of an AbortController. */
class OldController {
  signal = Object.assign(new EventTarget(), { aborted: false });

  abort() {
    this.signal.aborted = true;
    this.signal.dispatchEvent(new Event('abort'));
  }
}

test('session ids are unique without crypto', () =>
  withGlobal('crypto', undefined, () => {
    const ids = Array.from({ length: 50 }, () => new AsyncChatClient().sessionId);
    assert.equal(new Set(ids).size, 50);
    for (const id of ids) assert.match(id, /^session-[0-9a-f]{32}$/);
  }));

test('signals without a reason', () =>
  withGlobal('AbortController', OldController, async () => {
    const server = await new FakeServer().start();
    server.refuse = () => 401;
    const chat = new AsyncChatClient(server.url, 'secret');
    const left = assert.rejects(chat.send('left'), { code: 'disconnected' });
    await chat.flush();
    chat.disconnect();
    await left;
    const controller = new OldController();
    const ended = assert.rejects(chat.send('taken back', { signal: controller.signal }), { code: 'aborted' });
    await chat.flush();
    controller.abort();
    await ended;
    assert.deepEqual(chat.waiting.map(({ message }) => message), ['left']);
    await server.stop();
  }));

test('React Native’s engine knows no import.meta, and needs no worker', async () => {
  const { 'react-native': natives } = JSON.parse(readFileSync(new URL('package.json', HOME), 'utf8'));
  const [[name, native]] = Object.entries(natives);
  assert.match(readFileSync(new URL(name, HOME), 'utf8'), /import\.meta/);
  assert.equal((await import(new URL(native, HOME))).WORKER, null);
  const modules = readdirSync(HOME).filter((each) => each.endsWith('.js'));
  const users = modules.filter((each) => readFileSync(new URL(each, HOME), 'utf8').includes('import.meta.'));
  assert.deepEqual(users.map((each) => `./${each}`), [name]);
});
