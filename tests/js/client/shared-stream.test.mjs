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

/** A tab: the numbers of its frames, and `until(n)`, which waits for the one with the number `n`. */
function tab() {
  const seqs = [];
  const waiting = new Map();
  const onJob = ({ seq }) => {
    seqs.push(seq);
    waiting.get(seq)?.();
  };
  const end = watchStream({ source, key: 'alice' }, { onJob });
  ends.push(end);
  const until = (seq) => (seqs.includes(seq) ? null : new Promise((resolve) => waiting.set(seq, resolve)));
  return { seqs, until, end };
}

describe('tabs without a SharedWorker', () => {
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
  });

  test('when the leader goes, the next one goes on behind it', async () => {
    const job = jobOf(['a', 'b', 'c']);
    server.frames = job.slice(0, 2);
    const [first, second] = [tab(), tab()];
    await Promise.all([first.until(2), second.until(2)]);
    first.end();
    server.add(...job.slice(2));
    await second.until(4);
    assert.deepEqual(second.seqs, [1, 2, 3, 4]);
  });
});
