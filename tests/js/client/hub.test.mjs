import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Hub } from '../../../static/chatflow/js/client/hub.js';
import { FakeServer } from './fake-server.mjs';

let server;
let hub;

beforeEach(async () => {
  server = await new FakeServer().start();
  hub = new Hub({ url: `${server.url}/ai-demo/chat/stream`, headers: {} });
});

afterEach(async () => {
  hub.close();
  await server.stop();
});

/** A member: what it is told, and `until(state)`. */
function member() {
  const states = [];
  let waiting = null;
  const take = ({ state }) => {
    if (!state) return;
    states.push(state);
    if (state === waiting?.state) waiting.resolve();
  };
  const until = (state) => (states.at(-1) === state ? null : new Promise((resolve) => (waiting = { state, resolve })));
  return { take, states, until };
}

for (const [status, state] of [[401, 'signed-out'], [403, 'signed-out'], [404, 'unsupported']]) {
  describe(`after a ${status}`, () => {
    let first;

    beforeEach(async () => {
      server.fault = () => ({ status });
      first = member();
      hub.join(first.take);
      await first.until(state);
      server.fault = () => null;
    });

    test('who joins opens the connection for all, and hears nothing of the old end', async () => {
      const second = member();
      hub.join(second.take);
      await Promise.all([first.until('connected'), second.until('connected')]);
      assert.deepEqual([first.states, second.states], [[state, 'connected'], ['connected']]);
      assert.equal(server.connections, 2);
    });

    test('wake() opens it again', async () => {
      hub.wake();
      await first.until('connected');
      assert.equal(server.connections, 2);
    });

    test('nothing is opened where nobody is left', (t) => {
      const fetched = t.mock.method(globalThis, 'fetch');
      hub.leave(first.take);
      hub.wake();
      assert.equal(fetched.mock.callCount(), 0);
    });
  });
}
