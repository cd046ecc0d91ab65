import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AsyncChatClient } from '../../../static/chatflow/js/client/async-chat.js';
import { UserStream } from '../../../static/chatflow/js/client/user-stream.js';
import { FakeServer, jobOf } from './fake-server.mjs';

const WORDS = ['Grüße ', '🙂', ' und\r\nmehr', ' Ende'];
const SESSION = { type: 'session', session_id: 's', title: 'Grüße 🙂', unread: true };
let server;
let stops;

beforeEach(async () => {
  server = await new FakeServer().start();
  server.frames = [SESSION, ...jobOf(WORDS)];
  stops = [];
});

afterEach(async () => {
  stops.forEach((stop) => stop());
  await server.stop();
});

/** Watch until the job has ended; resolves with what came. */
function watchToTheEnd(client = new AsyncChatClient(server.url, 'secret')) {
  const seen = { frames: [], sessions: [], states: [], resets: 0 };
  return new Promise((resolve) => {
    stops.push(client.watch({
      onSession: (session) => seen.sessions.push(session),
      onReset: () => (seen.resets += 1),
      onConnection: (state) => seen.states.push(state),
      onJob(frame) {
        seen.frames.push(frame);
        if (frame.status === 'completed') resolve(seen);
      },
    }));
  });
}

/** No word is lost, none comes twice. */
function assertExact({ frames }) {
  assert.deepEqual(frames.map(({ seq }) => seq), [1, 2, 3, 4, 5]);
  assert.equal(frames.map(({ delta = '' }) => delta).join(''), WORDS.join(''));
}

describe('the user’s stream', () => {
  test('it works', async () => {
    const seen = await watchToTheEnd();
    assertExact(seen);
    assert.deepEqual(seen.sessions, [SESSION]);
    assert.deepEqual(seen.states, ['connected']);
    assert.equal(server.requests[0].headers.authorization, 'Bearer secret');
  });

  test('cut at every byte, no word is lost or comes twice', async () => {
    server.frames = [{ type: 'session', session_id: 's' }, ...jobOf(['é🙂'], 'j')];
    for (let cut = 0; cut < server.length; cut += 1) {
      const before = server.connections;
      server.fault = (n) => (n === before + 1 ? { cut, end: true } : null);
      const { frames, sessions } = await watchToTheEnd();
      assert.deepEqual(frames.map(({ seq, delta }) => [seq, delta]), [[1, 'é🙂'], [2, undefined]]);
      assert.ok(sessions.length >= 1);
    }
  });

  test('a broken transport is as good as a clean end', async () => {
    for (let cut = 0; cut < server.length; cut += 37) {
      const before = server.connections;
      server.fault = (n) => (n === before + 1 ? { cut } : null);
      assertExact(await watchToTheEnd());
    }
  });

  test('byte by byte, within a sign too', async () => {
    server.fault = () => ({ delay: 1 });
    assertExact(await watchToTheEnd());
  });

  test('what a proxy gives twice is taken once', async () => {
    server.fault = (n) => (n === 1 ? { cut: 500, end: true } : { twice: 3 });
    assertExact(await watchToTheEnd());
  });

  for (const [what, fault] of [
    ['502', { status: 502, body: '<html>' }],
    ['a page of a captive portal', { status: 200, type: 'text/html', body: '<html>' }],
    ['503', { status: 503, body: '{"success": false, "error": "Busy."}' }],
  ]) {
    test(`${what} passes`, async () => {
      server.fault = (n) => (n === 1 ? { cut: 400, end: true } : n === 2 ? fault : null);
      const seen = await watchToTheEnd();
      assertExact(seen);
      assert.deepEqual(seen.states, ['connected', 'reconnecting', 'connected']);
    });
  }

  for (const [status, state] of [[401, 'signed-out'], [403, 'signed-out'], [404, 'unsupported']]) {
    test(`${status} in mid-stream ends it, and says so`, async () => {
      server.fault = (n) => (n === 1 ? { cut: 400, end: true } : { status });
      const states = [];
      const stream = new UserStream(`${server.url}/ai-demo/chat/stream`, { onFrame() {}, onState: (each) => states.push(each) });
      await stream.run();
      assert.equal(states.at(-1), state);
      assert.equal(server.connections, 2);
    });
  }

  test('a stream that is cut since nobody is signed in any more is not called lost', async () => {
    server.fault = (n) => (n === 1 ? { cut: 400 } : { status: 401 });
    const states = [];
    const stream = new UserStream(`${server.url}/ai-demo/chat/stream`, { onFrame() {}, onState: (each) => states.push(each) });
    await stream.run();
    assert.deepEqual([...new Set(states)], ['connected', 'signed-out']);
  });

  test('one that is cut is called lost at last where the try again hangs', async () => {
    server.fault = (n) => (n === 1 ? { cut: 400 } : { swallow: true });
    const lost = withResolvers();
    const onState = (state) => state === 'reconnecting' && lost.resolve();
    const stream = new UserStream(`${server.url}/ai-demo/chat/stream`, { onFrame() {}, onState });
    stops.push(() => stream.close());
    stream.run();
    await lost.promise;
    assert.equal(server.connections, 2);
  });

  for (const status of [400, 409, 414, 431]) {
    test(`a cursor that is refused by a ${status} is forgotten, and everything loaded anew`, async () => {
      server.fault = (n) => (n === 1 ? { cut: 400, end: true } : n === 2 ? { status } : null);
      const seen = await watchToTheEnd();
      assertExact(seen);
      assert.equal(seen.resets, 1);
      assert.equal(server.connections, 3);
    });
  }

  test('a silent connection is dropped and opened again', async () => {
    server.frames = [];
    const states = [];
    const first = withResolvers();
    const stream = new UserStream(`${server.url}/ai-demo/chat/stream`, {
      // Long enough for a busy machine to connect in.
      silence: 500,
      onState: (state) => states.push(state),
      onFrame: first.resolve,
    });
    stops.push(() => stream.close());
    stream.run();
    server.fault = (n) => {
      if (n === 2) server.frames = [SESSION];
      return null;
    };
    await first.promise;
    assert.deepEqual(states.slice(0, 2), ['connected', 'reconnecting']);
    assert.ok(server.connections >= 2);
  });

  test('one that a proxy swallows is given up, and opened again', async () => {
    const ended = withResolvers();
    const frames = [];
    const stream = new UserStream(`${server.url}/ai-demo/chat/stream`, {
      silence: 30,
      onState() {},
      onFrame(frame) {
        frames.push(frame);
        if (frame.status === 'completed') ended.resolve();
      },
    });
    stops.push(() => stream.close());
    server.fault = (n) => (n === 1 ? { swallow: true } : null);
    stream.run();
    await ended.promise;
    assertExact({ frames: frames.filter(({ seq }) => seq) });
    assert.equal(server.connections, 2);
  });

  test('what happens later arrives; nothing arrives after the end', async () => {
    server.frames = [];
    const client = new AsyncChatClient(server.url, 'secret');
    const frames = [];
    const done = withResolvers();
    const stop = client.watch({
      onConnection: () => server.add(...jobOf(['a', 'b'])),
      onJob: (frame) => {
        frames.push(frame.seq);
        if (frame.seq === 3) done.resolve();
      },
      onDeleted: () => frames.push('deleted'),
    });
    await done.promise;
    stop();
    server.add({ type: 'deleted', session_id: 's' });
    assert.deepEqual(frames, [1, 2, 3]);
  });

  test('a callback that throws does not cost the next frame', async (t) => {
    t.mock.method(console, 'error', () => {});
    const frames = [];
    await new Promise((resolve) => {
      stops.push(new AsyncChatClient(server.url, 'secret').watch({
        onJob(frame) {
          frames.push(frame.seq);
          if (frame.seq === 5) resolve();
          throw new Error('oops');
        },
      }));
    });
    assert.deepEqual(frames, [1, 2, 3, 4, 5]);
  });
});

function withResolvers() {
  const found = {};
  found.promise = new Promise((resolve, reject) => Object.assign(found, { resolve, reject }));
  return found;
}
