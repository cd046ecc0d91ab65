import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { watchStream } from '../../../static/chatflow/js/client/watch.js';
import { installBrowser, removeBrowser } from './fake-browser.mjs';
import { FakeServer, jobOf } from './fake-server.mjs';

// What a browser would run in a SharedWorker.
await import('../../../static/chatflow/js/client/stream-worker.js');
const { onconnect } = globalThis;

let server;
let source;
let worker;
let made;
const ends = [];

class FakeSharedWorker {
  constructor(url) {
    made.push(url);
    if (url === '/missing.js') return void setImmediate(() => this.onerror());
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    onconnect({ ports: [port2] });
  }

  port = { postMessage() {} };
}

beforeEach(async () => {
  server = await new FakeServer().start();
  source = { url: `${server.url}/ai-demo/chat/stream`, headers: {} };
  made = [];
  worker = null;
  installBrowser();
  globalThis.SharedWorker = FakeSharedWorker;
});

afterEach(async () => {
  ends.splice(0).forEach((end) => end());
  removeBrowser();
  delete globalThis.SharedWorker;
  await server.stop();
});

/** A tab: the numbers of its frames, its states, and `until(what)`, which waits for such a number or state. */
function tab() {
  const seqs = [];
  const states = [];
  const waiting = new Map();
  const note = (list, what) => {
    list.push(what);
    waiting.get(what)?.();
  };
  const end = watchStream({ source, key: server.url, worker }, {
    onJob: ({ seq }) => note(seqs, seq),
    onConnection: (state) => note(states, state),
  });
  ends.push(end);
  const until = (what) => ([...seqs, states.at(-1)].includes(what) ? null : new Promise((resolve) => waiting.set(what, resolve)));
  return { seqs, states, until, end };
}

const WAYS = {
  'a SharedWorker': '/stream-worker.js',
  'a SharedWorker that the page makes': () => new SharedWorker('/of-a-bundle.js'),
  'a leader, where the worker can’t be loaded': '/missing.js',
  'a leader': null,
};

for (const [way, address] of Object.entries(WAYS)) {
  describe(`tabs with ${way}`, () => {
    beforeEach(() => {
      worker = address;
    });

    test('share one connection, and each sees each frame once', async () => {
      const job = jobOf(['a', 'b', 'c']);
      server.frames = job.slice(0, 2);
      const first = tab();
      await first.until(2);
      const late = tab();
      await late.until(2);
      server.add(...job.slice(2));
      await Promise.all([first.until(4), late.until(4)]);
      assert.deepEqual([first.seqs, late.seqs], [[1, 2, 3, 4], [1, 2, 3, 4]]);
      assert.equal(server.connections, 1);
      assert.equal(made.length, address ? 2 : 0);
    });

    test('lose nothing when the first one goes', async () => {
      const job = jobOf(['a', 'b', 'c']);
      server.frames = job.slice(0, 2);
      const [first, second] = [tab(), tab()];
      await Promise.all([first.until(2), second.until(2)]);
      first.end();
      server.add(...job.slice(2));
      await second.until(4);
      assert.deepEqual(second.seqs, [1, 2, 3, 4]);
    });

    test('have the stream back, all of them, once somebody signs in again and opens another one', async () => {
      server.fault = () => ({ status: 401 });
      const tabs = [tab(), tab()];
      await Promise.all(tabs.map(({ until }) => until('signed-out')));
      server.fault = () => null;
      const before = server.connections;
      tabs.push(tab());
      await Promise.all(tabs.map(({ until }) => until('connected')));
      assert.deepEqual(tabs.map(({ states }) => states), [['signed-out', 'connected'], ['signed-out', 'connected'], ['connected']]);
      assert.equal(server.connections, before + 1);
    });
  });
}

test('without tabs there is no connection', async () => {
  worker = '/stream-worker.js';
  const only = tab();
  await only.until('connected');
  const [stream] = server.streams;
  const closed = new Promise((resolve) => stream.on('close', resolve));
  only.end();
  await closed;
});
