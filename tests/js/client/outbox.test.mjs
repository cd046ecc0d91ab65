import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AsyncChatClient } from '../../../static/chatflow/js/client/async-chat.js';
import { installBrowser, removeBrowser } from './fake-browser.mjs';
import { FakeServer } from './fake-server.mjs';

let server;

beforeEach(async () => {
  server = await new FakeServer().start();
  installBrowser();
});

afterEach(async () => {
  removeBrowser();
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

  describe('taken back while it is under way', () => {
    /** Send a message and take it back when the server has it, which answers then. */
    async function takeBackLate(status) {
      const client = newClient();
      const aborting = new AbortController();
      server.refuse = () => {
        aborting.abort();
        return status;
      };
      const pending = assert.rejects(client.send('oops', { signal: aborting.signal }), { code: 'aborted' });
      await Promise.all([pending, client.flush()]);
      return client;
    }

    test('its job is cancelled', async () => {
      await takeBackLate(null);
      server.refuse = () => null;
      // It comes behind that.
      await newClient().history();
      assert.ok(server.requests.some(({ url }) => url.endsWith('/cancel/job-1')));
    });

    test('a refusal is nobody’s any more', async () => {
      const client = await takeBackLate(400);
      const refused = [];
      client.onRefused = ({ message }) => refused.push(message);
      await client.flush();
      assert.deepEqual([refused, client.waiting], [[], []]);
      assert.equal(server.requests.length, 1);
    });
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

describe('a refusal of what an earlier visit has left', () => {
  /** Leave a message behind, as a reload does. */
  async function leave(message) {
    server.refuse = () => 401;
    const before = newClient();
    const pending = before.send(message, { sessionId: 'old' });
    await before.flush();
    before.disconnect();
    await assert.rejects(pending, { code: 'disconnected' });
    server.refuse = () => 400;
    return before;
  }

  test('is handed to the page, with the words and the reason', async () => {
    await leave('my words');
    const client = newClient();
    const refused = [];
    client.onRefused((message, error) => refused.push([message.message, message.session_id, error.message, error.status]));
    await client.flush();
    await client.flush();
    assert.deepEqual(refused, [['my words', 'old', 'No.', 400]]);
    assert.deepEqual(client.waiting, []);
  });

  test('is kept until somebody takes it, and sent no more', async (t) => {
    t.mock.method(console, 'error', () => {});
    await leave('my words');
    await newClient().flush();
    const clumsy = newClient();
    clumsy.onRefused = () => {
      throw new Error('oops');
    };
    await clumsy.flush();
    assert.deepEqual(clumsy.waiting, []);
    const requests = server.requests.length;
    const client = newClient();
    const refused = [];
    client.onRefused = ({ message }) => refused.push(message);
    await client.flush();
    assert.deepEqual(refused, ['my words']);
    assert.equal(server.requests.length, requests);
  });

  test('comes to the same client too, once it has stopped waiting', async () => {
    const client = await leave('my words');
    const refused = [];
    client.onRefused = ({ message }) => refused.push(message);
    await client.flush();
    assert.deepEqual(refused, ['my words']);
  });

  test('is told of what is too old as well', async (t) => {
    await leave('my words');
    const now = Date.now() + 25 * 3_600_000;
    t.mock.method(Date, 'now', () => now);
    const client = newClient();
    const codes = [];
    client.onRefused = (_, { code }) => codes.push(code);
    await client.flush();
    assert.deepEqual(codes, ['expired']);
  });

  test('goes to the tab that sent it, where that still waits', async () => {
    server.refuse = () => 401;
    const sender = newClient();
    const pending = assert.rejects(sender.send('mine'), { status: 400, message: 'No.' });
    await sender.flush();
    server.refuse = () => 400;
    const other = newClient();
    other.onRefused = () => assert.fail('It is not for this one');
    await other.flush();
    await sender.flush();
    await pending;
  });

  test('goes to its sender also where another client of the page has sent it', async (t) => {
    let now = Date.now();
    t.mock.method(Date, 'now', () => (now += 1));
    server.refuse = () => (JSON.parse(server.requests.at(-1).body).message === 'bad' ? 400 : null);
    // They send in turn, whosever it is.
    const [sender, other] = [newClient(), newClient()];
    const good = sender.send('good');
    const bad = assert.rejects(sender.send('bad'), { status: 400, message: 'No.' });
    await Promise.all([good, bad, other.send('last')]);
    assert.deepEqual(server.sent.map(({ message }) => message), ['good', 'last']);
  });
});

test('tabs that send at once ask for each message at most twice', async () => {
  const words = ['one', 'two', 'three', 'four', 'five', 'six', 'seven'];
  const answers = await Promise.all(words.map(async (message) => (await newClient().send(message)).response));
  assert.deepEqual(answers, words.map((message) => `Echo: ${message}`));
  assert.ok(server.requests.length <= 2 * words.length, String(server.requests.length));
});

test('a client that had nothing to send leaves alone what another one puts in', async () => {
  const other = newClient();
  other.flush();
  const pending = newClient().send('one');
  await other.flush();
  assert.equal((await pending).response, 'Echo: one');
  assert.equal(server.requests.filter(({ method }) => method === 'POST').length, 1);
});

test('a tab that pauses holds up no other one', async (t) => {
  let now = Date.now();
  t.mock.method(Date, 'now', () => (now += 1));
  server.refuse = (_, n) => (n === 1 ? 429 : null);
  const first = newClient();
  const pending = first.send('one');
  assert.equal((await newClient().send('two')).response, 'Echo: two');
  assert.deepEqual(server.sent.map(({ message }) => message), ['one', 'two']);
  first.flush();
  assert.equal((await pending).response, 'Echo: one');
});

test('a tab that doesn’t see yet what another one has put into the store costs no answer', async () => {
  server.refuse = () => 401;
  const sender = newClient();
  const pending = sender.send('mine');
  await sender.flush();
  server.refuse = () => null;
  await newClient().flush();
  const store = globalThis.localStorage;
  const late = { getItem: (name) => (name.includes(' sent') ? null : store.getItem(name)) };
  const value = new Proxy(store, { get: (_, name) => late[name] ?? store[name] });
  Object.defineProperty(globalThis, 'localStorage', { value, configurable: true });
  await newClient().send('other');
  Object.defineProperty(globalThis, 'localStorage', { value: store, configurable: true });
  sender.flush();
  assert.equal((await pending).response, 'Echo: mine');
});

test('a server that is away holds up no other one', async () => {
  const away = new AsyncChatClient('http://127.0.0.1:9', 'secret');
  const lost = assert.rejects(away.send('lost'), { code: 'aborted' });
  assert.equal((await newClient().send('hello')).response, 'Echo: hello');
  away.takeBack(away.waiting[0].key);
  await lost;
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

  test('what was not sent stands behind what was typed since', () => {
    const client = newClient();
    assert.equal(client.addToDraft('first', 'a'), 'first');
    assert.equal(client.addToDraft('second', 'a'), 'first\n\nsecond');
    assert.equal(newClient().draft('a'), 'first\n\nsecond');
  });
});

test('who has disconnected listens to the network no more', async (t) => {
  const listening = new Set();
  Object.assign(globalThis, { addEventListener: (type, call) => listening.add(call), removeEventListener: (type, call) => listening.delete(call) });
  t.after(() => ['addEventListener', 'removeEventListener'].forEach((name) => delete globalThis[name]));
  const client = newClient();
  await client.send('one');
  assert.equal(listening.size, 1);
  client.disconnect();
  assert.equal(listening.size, 0);
  await client.send('two');
  assert.equal(listening.size, 1);
});
