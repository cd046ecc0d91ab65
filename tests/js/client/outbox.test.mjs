import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AsyncChatClient } from '../../../static/js/client/async-chat.js';
import { FakeServer } from './fake-server.mjs';

let server;

/** A browser's store. */
class FakeStore {
  getItem(name) {
    return Object.hasOwn(this, name) ? this[name] : null;
  }

  setItem(name, text) {
    this[name] = text;
  }

  removeItem(name) {
    delete this[name];
  }
}

beforeEach(async () => {
  server = await new FakeServer().start();
  Object.defineProperty(globalThis, 'localStorage', { value: new FakeStore(), configurable: true });
});

afterEach(async () => {
  delete globalThis.localStorage;
  await server.stop();
});

const newClient = () => new AsyncChatClient(server.url, 'secret', { user: 'alice' });

describe('the outbox', () => {
  test('it works', async () => {
    const client = newClient();
    const { response } = await client.send('hello', { files: [7], edits: 3 });
    assert.equal(response, 'Echo: hello');
    const { message, files, edits, async } = server.sent[0];
    assert.deepEqual({ message, files, edits, async }, { message: 'hello', files: [7], edits: 3, async: true });
    assert.deepEqual(client.waiting, []);
  });

  test('what can’t be sent waits, and goes in order', async () => {
    server.refuse = (_, n) => (n === 1 ? 'drop' : n === 2 ? 502 : null);
    const client = newClient();
    const counts = [];
    client.onOutbox(({ length }) => counts.push(length));
    await Promise.all(['one', 'two', 'three'].map((message) => client.send(message)));
    assert.deepEqual(server.sent.map(({ message }) => message), ['one', 'two', 'three']);
    assert.equal(Math.max(...counts), 3);
    assert.equal(counts.at(-1), 0);
  });

  test('a lost answer runs nothing twice', async () => {
    server.loseAnswers = 2;
    assert.equal((await newClient().send('once')).response, 'Echo: once');
    assert.equal(server.sent.length, 1);
    assert.equal(server.requests.length, 3);
  });

  test('after a reload it is still there', async () => {
    server.refuse = () => 503;
    const before = newClient();
    const pending = before.send('later');
    before.disconnect();
    await assert.rejects(pending, { code: 'disconnected' });
    const after = newClient();
    assert.deepEqual(after.waiting.map(({ message }) => message), ['later']);
    server.refuse = () => null;
    await after.flush();
    await before.flush();
    assert.deepEqual(server.sent.map(({ message }) => message), ['later']);
    assert.deepEqual(after.waiting, []);
  });

  test('who waits for what another tab has sent gets the answer', async () => {
    server.refuse = () => 'drop';
    const first = newClient();
    const pending = first.send('mine');
    server.refuse = () => null;
    await newClient().flush();
    first.flush();
    assert.equal((await pending).response, 'Echo: mine');
    assert.equal(server.sent.length, 1);
  });

  test('a refusal goes back to its sender, and the next one goes on', async () => {
    server.refuse = (_, n) => (n === 1 ? 400 : null);
    const client = newClient();
    const refused = assert.rejects(client.send('bad'), { status: 400 });
    assert.equal((await client.send('good')).response, 'Echo: good');
    await refused;
  });

  test('signed out, it waits until it is told to go on', async () => {
    server.refuse = () => 401;
    const client = newClient();
    const pending = client.send('kept');
    await client.flush();
    assert.equal(client.waiting.length, 1);
    server.refuse = () => null;
    client.flush();
    assert.equal((await pending).response, 'Echo: kept');
  });

  test('whoever has to sign in is told so', async () => {
    server.refuse = () => 401;
    const told = [];
    const client = newClient().onSignedOut(() => told.push(client.waiting.length));
    const pending = assert.rejects(client.send('kept'), { code: 'aborted' });
    await client.flush();
    assert.deepEqual([...new Set(told)], [1]);
    client.takeBack(client.waiting[0].key);
    await pending;
  });

  test('what is taken back is not sent', async () => {
    server.refuse = () => 401;
    const client = newClient();
    const pending = assert.rejects(client.send('oops'), { code: 'aborted' });
    const controller = new AbortController();
    const second = assert.rejects(client.send('too', { signal: controller.signal }), { code: 'aborted' });
    await client.flush();
    client.takeBack(client.waiting[0].key);
    controller.abort();
    await Promise.all([pending, second]);
    server.refuse = () => null;
    await client.flush();
    assert.deepEqual(server.sent, []);
  });

  test('somebody else’s waits for them', async () => {
    server.refuse = () => 401;
    newClient().send('alice’s').catch(() => {});
    const bob = new AsyncChatClient(server.url, 'other', { user: 'bob' });
    assert.deepEqual(bob.waiting, []);
  });

  test('a key that the server may have forgotten is not used again', async (t) => {
    server.refuse = () => 401;
    const client = newClient();
    const pending = assert.rejects(client.send('old'), { code: 'expired' });
    await client.flush();
    const now = Date.now() + 25 * 3_600_000;
    t.mock.method(Date, 'now', () => now);
    await client.flush();
    await pending;
    assert.deepEqual(server.sent, []);
  });

  test('without a store it works until the reload', async () => {
    delete globalThis.localStorage;
    server.refuse = (_, n) => (n === 1 ? 502 : null);
    assert.equal((await newClient().send('memory')).response, 'Echo: memory');
  });
});

describe('drafts', () => {
  test('each session and user has their own', () => {
    const client = newClient();
    client.saveDraft('half a sent', 'a');
    assert.equal(newClient().draft('a'), 'half a sent');
    assert.equal(client.draft('b'), '');
    assert.equal(new AsyncChatClient(server.url, null, { user: 'bob' }).draft('a'), '');
    client.saveDraft('', 'a');
    assert.equal(client.draft('a'), '');
  });
});
