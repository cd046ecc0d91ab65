import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { watchStream } from '../../../static/js/client/watch.js';
import { installBrowser, removeBrowser } from './fake-browser.mjs';
import { FakeServer, jobOf } from './fake-server.mjs';

let server;
let source;
const ends = [];

beforeEach(async () => {
  server = await new FakeServer().start();
  source = { url: `${server.url}/ai-demo/chat/stream`, headers: {} };
  installBrowser();
});

afterEach(async () => {
  ends.splice(0).forEach((end) => end());
  removeBrowser();
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
  const end = watchStream({ source, key: 'alice' }, {
    onJob: ({ seq }) => note(seqs, seq),
    onConnection: (state) => note(states, state),
  });
  ends.push(end);
  const until = (what) => ([...seqs, states.at(-1)].includes(what) ? null : new Promise((resolve) => waiting.set(what, resolve)));
  return { seqs, states, until, end };
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

  test('who signs in again, and opens another tab, has the stream in all of them', async () => {
    server.fault = () => ({ status: 401 });
    const tabs = [tab(), tab()];
    await Promise.all(tabs.map(({ until }) => until('signed-out')));
    server.fault = () => null;
    tabs.push(tab());
    await Promise.all(tabs.map(({ until }) => until('connected')));
    assert.deepEqual(tabs.map(({ states }) => states), [['signed-out', 'connected'], ['signed-out', 'connected'], ['connected']]);
    assert.equal(server.connections, 2);
  });
});
