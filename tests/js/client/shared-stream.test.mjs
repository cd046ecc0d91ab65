import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { watchStream } from '../../../static/js/client/watch.js';
import { FakeServer, jobOf } from './fake-server.mjs';

let server;
let source;
const ends = [];

/** The Web Locks of one browser: exclusive, in order. */
class FakeLocks {
  #tails = new Map();

  request(name, work) {
    const next = (this.#tails.get(name) ?? Promise.resolve()).then(work);
    this.#tails.set(name, next.catch(() => {}));
    return next;
  }
}

beforeEach(async () => {
  server = await new FakeServer().start();
  source = { url: `${server.url}/ai-demo/chat/stream`, headers: {} };
  Object.defineProperty(globalThis, 'navigator', { value: { locks: new FakeLocks(), onLine: true }, configurable: true });
});

afterEach(async () => {
  ends.splice(0).forEach((end) => end());
  delete globalThis.navigator;
  await server.stop();
});

/** A tab: its frames, and a promise of the one with the number `last`. */
function tab(last) {
  const seqs = [];
  let end;
  const done = new Promise((resolve) => {
    end = watchStream({ source, key: 'alice' }, { onJob: ({ seq }) => (seqs.push(seq), seq === last && resolve()) });
  });
  ends.push(() => end());
  return { seqs, done, end };
}

describe('tabs without a SharedWorker', () => {
  test('share one connection, and each sees each frame once', async () => {
    const job = jobOf(['a', 'b', 'c']);
    server.frames = job.slice(0, 2);
    const first = tab(2);
    await first.done;
    const late = tab(4);
    server.add(...job.slice(2));
    await late.done;
    assert.deepEqual([first.seqs, late.seqs], [[1, 2, 3, 4], [1, 2, 3, 4]]);
    assert.equal(server.connections, 1);
  });

  test('when the leader goes, the next one goes on behind it', async () => {
    const job = jobOf(['a', 'b', 'c']);
    server.frames = job.slice(0, 2);
    const [first, second] = [tab(2), tab(2)];
    await Promise.all([first.done, second.done]);
    first.end();
    const rest = tab(4);
    server.add(...job.slice(2));
    await rest.done;
    assert.deepEqual(second.seqs, [1, 2, 3, 4]);
  });
});
