import assert from 'node:assert/strict';
import { beforeEach, describe, mock, test } from 'node:test';
import { AsyncChatClient } from '../../../static/chatflow/js/client/async-chat.js';
import { FakeEventSource, answer, fakeFetch, installEventSource, settle } from '../fakes.mjs';

const JOB = { job_id: 'workflow_abc', stream_url: '/stream?token=t', status_url: '/status?token=t' };
const WORKING = { status: 'processing', progress: 50, message: 'Processing step 2 of 4...' };
const COMPLETED = { status: 'completed', progress: 100, response: 'Done' };
const status = (data) => answer(200, { success: true, data });

/** Follow JOB; `outcome` is what became of it so far. */
function follow(options = {}) {
  const chat = new AsyncChatClient('', options.token ?? null, options);
  const frames = [];
  const texts = [];
  const outcome = {};
  chat.onProgress((frame) => frames.push(frame));
  chat.onDelta((text) => texts.push(text));
  chat.handleAsyncResponse({ ...JOB, ...options.job }).then(
    (result) => Object.assign(outcome, { result }),
    (error) => Object.assign(outcome, { error }),
  );
  return { chat, frames, texts, outcome, source: FakeEventSource.last };
}

async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await settle();
}

beforeEach(() => {
  installEventSource();
  fakeFetch(new TypeError('no network'));
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
});

describe('the stream', () => {
  test('a broken transport is left to the browser, and frames are not taken twice', async () => {
    const { source, texts, outcome } = follow();
    source.send({ status: 'connected' }, { ...WORKING, seq: 1, delta: 'one' });
    source.drop();
    source.drop();
    assert.equal(FakeEventSource.all.length, 1);
    source.send({ status: 'connected' }, { ...WORKING, seq: 1, delta: 'one' }, { ...WORKING, seq: 2, delta: ' two' }, { ...COMPLETED, seq: 3 });
    await settle();
    assert.deepEqual(texts, ['one', 'one two']);
    assert.equal(outcome.result.response, 'Done');
  });

  test('a frame between two failures starts the count again', async () => {
    const { chat, source, outcome } = follow();
    for (let round = 0; round < 5; round += 1) {
      source.drop();
      source.drop();
      source.send({ status: 'connected' });
    }
    await settle();
    assert.equal(source.readyState, 0);
    assert.deepEqual(outcome, {});
    chat.disconnect();
  });

  test('a truncated stream is never success', async () => {
    const { source, outcome } = follow();
    source.send({ status: 'connected' }, { ...WORKING, progress: 100, seq: 1 });
    source.drop();
    await pass(60_000);
    assert.deepEqual(outcome, {});
  });

  test('nothing is taken after the terminal frame', async () => {
    const { source, frames, outcome } = follow();
    source.send({ ...COMPLETED, seq: 1 }, { ...WORKING, seq: 2 });
    await settle();
    assert.equal(frames.length, 1);
    assert.equal(outcome.result.response, 'Done');
  });

  test('a frame that is no JSON is passed over', async () => {
    const { source, outcome, frames } = follow();
    source.send('<html>', 'null', '5', '{"no": "status"}', { ...COMPLETED, seq: 1 });
    await settle();
    assert.equal(frames.length, 1);
    assert.equal(outcome.result.response, 'Done');
  });

  test('a refused stream is opened again behind the last frame', async () => {
    const { source, outcome } = follow();
    source.send({ ...WORKING, seq: 7 });
    source.refuse();
    await pass(1000);
    assert.equal(FakeEventSource.all.length, 2);
    assert.equal(FakeEventSource.last.url, '/stream?token=t&last_event_id=7');
    FakeEventSource.last.send({ ...COMPLETED, seq: 8 });
    await settle();
    assert.equal(outcome.result.response, 'Done');
  });

  test('a quiet stream is left alone while the job has nothing to say', async () => {
    const { chat, source, outcome } = follow();
    source.send({ status: 'connected' }, { ...WORKING, seq: 4 });
    const requests = fakeFetch(status({ ...WORKING, last_event_id: 4 }));
    await pass(15_000);
    await pass(15_000);
    assert.equal(requests.length, 2);
    assert.equal(source.readyState, 1);
    assert.deepEqual(outcome, {});
    chat.disconnect();
  });

  test('a stream that a proxy swallows is given up for polling', async () => {
    const { source, outcome } = follow();
    fakeFetch(status({ ...COMPLETED, last_event_id: 9 }));
    await pass(15_000);
    await pass(1000);
    assert.equal(source.readyState, 2);
    assert.equal(outcome.result.response, 'Done');
  });

  test('frames that come after the quiet look keep the stream', async () => {
    const { chat, source } = follow();
    fakeFetch(status({ ...WORKING, last_event_id: 5 }));
    await pass(15_000);
    source.send({ ...WORKING, seq: 5 });
    await pass(1000);
    assert.equal(source.readyState, 1);
    chat.disconnect();
  });
});

describe('polling', () => {
  test('takes over after three failures without a frame', async () => {
    const requests = fakeFetch(status(WORKING), status(WORKING), status(COMPLETED));
    const { source, frames, outcome } = follow();
    source.drop();
    source.drop();
    assert.equal(requests.length, 0);
    source.drop();
    await settle();
    assert.equal(source.readyState, 2);
    assert.deepEqual(requests.map(({ url }) => url), ['/status?token=t']);
    await pass(1999);
    assert.equal(requests.length, 1);
    await pass(1);
    await pass(2000);
    assert.equal(outcome.result.response, 'Done');
    assert.deepEqual(frames.map((frame) => frame.status), ['processing', 'processing', 'completed']);
    await pass(60_000);
    assert.equal(requests.length, 3);
  });

  test('takes over from a stream that is refused three times', async () => {
    const { source, outcome } = follow();
    fakeFetch(status(COMPLETED));
    source.refuse();
    await pass(1000);
    FakeEventSource.last.refuse();
    await pass(2000);
    FakeEventSource.last.refuse();
    await settle();
    assert.equal(FakeEventSource.all.length, 3);
    assert.equal(outcome.result.response, 'Done');
  });

  test('is the way where there is no EventSource, at the interval wanted', async () => {
    delete globalThis.EventSource;
    const requests = fakeFetch(status(WORKING), status(COMPLETED));
    const { outcome } = follow({ pollInterval: 50, token: 'secret' });
    await settle();
    await pass(50);
    assert.equal(outcome.result.response, 'Done');
    assert.equal(requests[1].headers.Authorization, 'Bearer secret');
  });

  test('is the way where the stream has an impossible address', async () => {
    globalThis.EventSource = class { constructor() { throw new SyntaxError('bad address'); } };
    fakeFetch(status(COMPLETED));
    const { outcome } = follow();
    await settle();
    assert.equal(outcome.result.response, 'Done');
  });

  test('knows failed and timeout', async () => {
    delete globalThis.EventSource;
    for (const [data, message] of [
      [{ status: 'failed', error: 'No stock.', code: 'workflow_error' }, 'No stock.'],
      [{ status: 'failed' }, 'Workflow failed'],
      [{ status: 'timeout', error: 'x' }, 'Request timed out'],
    ]) {
      fakeFetch(status(data));
      const { outcome } = follow();
      await settle();
      assert.equal(outcome.error.message, message);
    }
  });

  test('gives up after three failures: "SSE connection failed"', async () => {
    const { source, outcome } = follow();
    for (let round = 0; round < 3; round += 1) source.drop();
    await settle();
    await pass(2000);
    assert.deepEqual(outcome, {});
    await pass(2000);
    assert.equal(outcome.error.message, 'SSE connection failed');
    assert.equal(outcome.error.code, 'connection_failed');
    assert.equal(outcome.error.jobId, 'workflow_abc');
  });

  test('counts failures in a row only', async () => {
    delete globalThis.EventSource;
    const lost = new TypeError('no network');
    fakeFetch(lost, lost, status(WORKING), lost, lost, status(COMPLETED));
    const { outcome } = follow();
    await settle();
    for (let round = 0; round < 5; round += 1) await pass(2000);
    assert.equal(outcome.result.response, 'Done');
  });

  test('waits as long as the server asks', async () => {
    delete globalThis.EventSource;
    const busy = answer(503, { success: false, error: 'Busy.', code: 'unavailable' }, { 'Retry-After': '5' });
    const requests = fakeFetch(busy, status(COMPLETED));
    const { outcome } = follow();
    await settle();
    await pass(4999);
    assert.equal(requests.length, 1);
    await pass(1);
    assert.equal(outcome.result.response, 'Done');
  });

  test('a refusal ends it at once, in the words of the server', async () => {
    delete globalThis.EventSource;
    fakeFetch(answer(404, { success: false, error: 'There is no such job.', code: 'not_found' }));
    const { outcome } = follow();
    await settle();
    assert.equal(outcome.error.message, 'There is no such job.');
    assert.equal(outcome.error.status, 404);
  });

  test('disconnect ends the pause between two looks', async () => {
    globalThis.EventSource = class { constructor() { throw new SyntaxError('bad address'); } };
    const requests = fakeFetch(status(WORKING));
    const { chat, outcome } = follow();
    await settle();
    chat.disconnect();
    await settle();
    assert.equal(outcome.error.message, 'Disconnected');
    await pass(10_000);
    assert.equal(requests.length, 1);
  });
});
