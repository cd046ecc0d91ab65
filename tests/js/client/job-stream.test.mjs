/** A job's stream where there is no EventSource, as in Node, over a proxy that does all that proxies do. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AsyncChatClient } from '../../../static/chatflow/js/client/async-chat.js';
import { FakeServer, jobOf } from './fake-server.mjs';

const WORDS = ['Grüße 🙂', ' und\r\nEnde'];
const TEXT = WORDS.join('');
const TEXTS = [WORDS[0], TEXT];
const SHORT = jobOf(['é🙂'], 'j');
let server;
let pending;

beforeEach(async () => {
  server = await new FakeServer().start();
  server.frames = jobOf(WORDS);
  pending = null;
});

afterEach(async () => {
  pending?.disconnect();
  await server.stop();
});

/** Follow the job; resolves with its answer, the texts on the way, and the numbers of its frames. */
async function follow(options = {}) {
  const client = new AsyncChatClient(server.url, 'secret', { reopenDelay: 1, pollInterval: 1, ...options });
  const seen = { texts: [], seqs: [] };
  pending = client;
  client.onDelta((text) => seen.texts.push(text));
  client.onProgress(({ seq }) => seq && seen.seqs.push(seq));
  const { response } = await client.resume({ job_id: 'workflow_abc', stream_url: `${server.url}/stream`, status_url: `${server.url}/status` });
  return { ...seen, response };
}

/** No word is lost, none comes twice. */
function assertExact({ response, texts, seqs }) {
  assert.equal(response, TEXT);
  assert.deepEqual([texts, seqs], [TEXTS, [1, 2, 3]]);
}

/** Whether the answer came by the stream alone. */
const assertStreamed = () => assert.ok(server.requests.every(({ url }) => url.startsWith('/stream')));

describe('a job’s stream', () => {
  test('it works', async () => {
    assert.equal(globalThis.EventSource, undefined);
    assertExact(await follow());
    assert.equal(server.requests[0].headers.authorization, 'Bearer secret');
    assert.equal(server.connections, 1);
    assertStreamed();
  });

  for (const [what, end] of [['a clean end', true], ['a broken transport', false]]) {
    test(`cut at every byte, by ${what}, no word is lost or comes twice`, async () => {
      server.frames = SHORT;
      for (let cut = 0; cut < server.length; cut += 1) {
        const before = server.connections;
        server.fault = (n) => (n === before + 1 ? { cut, end } : null);
        assert.deepEqual(await follow(), { response: 'é🙂', texts: ['é🙂'], seqs: [1, 2] });
      }
      assertStreamed();
    });
  }

  test('byte by byte, within a sign too', async () => {
    server.fault = () => ({ delay: 1 });
    assertExact(await follow());
  });

  test('what a proxy gives twice is taken once', async () => {
    server.fault = (n) => (n === 1 ? { cut: server.length - 100, end: true } : { twice: 2 });
    assertExact(await follow());
    assert.equal(server.connections, 2);
  });

  for (const status of [429, 502, 503]) {
    test(`a ${status} in mid-stream passes`, async () => {
      server.fault = (n) => (n === 1 ? { cut: server.length - 100, end: true } : n === 2 ? { status, body: '<html>' } : null);
      assertExact(await follow());
      assert.equal(server.connections, 3);
      assertStreamed();
    });
  }

  test('a page of a captive portal, and a stream that is refused for good, are given up for polling', async () => {
    for (const fault of [{ status: 200, type: 'text/html', body: '<html>' }, { status: 401 }, { status: 404 }]) {
      const before = server.connections;
      server.fault = (n) => (n === before + 1 ? { cut: server.length - 100, end: true } : fault);
      const { response } = await follow();
      assert.equal(response, TEXT);
      assert.equal(server.connections, before + 2);
    }
  });

  test('a 401 in mid-stream, and of the status too, says so', async () => {
    server.fault = (n) => (n === 1 ? { cut: server.length - 100, end: true } : { status: 401 });
    server.refuse = () => 401;
    await assert.rejects(follow(), { status: 401, jobId: 'workflow_abc', message: 'No.' });
  });

  test('one that a proxy swallows is given up for polling', async () => {
    server.fault = () => ({ swallow: true });
    assert.equal((await follow({ quietTimeout: 20 })).response, TEXT);
  });
});
