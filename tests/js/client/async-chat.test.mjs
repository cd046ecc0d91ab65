import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { AsyncChatClient, ChatError } from '../../../static/chatflow/js/client/async-chat.js';
import { FakeEventSource, answer, fakeFetch, installDocument, installEventSource, settle } from '../fakes.mjs';

const JOB = {
  success: true,
  async: true,
  job_id: 'workflow_abc',
  status: 'processing',
  message: 'Your request is being processed...',
  stream_url: 'https://chat.test/ai-demo/workflow/stream/workflow_abc?token=t',
  status_url: 'https://chat.test/ai-demo/workflow/status/workflow_abc?token=t',
  session_id: 'session-1',
};
const CONNECTED = { status: 'connected' };
const WORKING = { status: 'processing', progress: 50, message: 'Processing step 2 of 4...', seq: 1, type: 'progress' };
const COMPLETED = { status: 'completed', progress: 100, response: 'Done', actions: [{ label: 'a' }], sources: [{ title: 's' }], metadata: { n: 1 }, seq: 2 };
const RESULT = { success: true, response: 'Done', actions: [{ label: 'a' }], sources: [{ title: 's' }], session_id: 'session-1', job_id: 'workflow_abc', metadata: { n: 1 } };

/** A client whose async send has been accepted, and the promise of its answer. */
async function started({ options, ...job } = {}) {
  const requests = fakeFetch(answer(202, { ...JOB, ...job }));
  const chat = new AsyncChatClient('', null, options);
  const pending = chat.sendMessage('create invoice', { async: true });
  pending.catch(() => {});
  await settle();
  return { chat, pending, requests, source: FakeEventSource.last };
}

const fails = (promise, expected) => assert.rejects(promise, (error) => {
  assert.ok(error instanceof ChatError && error instanceof Error);
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(error[name], value, name);
  return true;
});

beforeEach(() => {
  installEventSource();
  delete globalThis.document;
});

describe('a sync send', () => {
  test('it works', async () => {
    const requests = fakeFetch(answer(200, { success: true, response: 'Hi', actions: [], sources: [], session_id: 's', job_id: 'j' }));
    const chat = new AsyncChatClient();
    const result = await chat.sendMessage('hello');
    assert.deepEqual(result, { success: true, response: 'Hi', actions: [], sources: [], session_id: 's', job_id: 'j' });
    const [{ url, method, headers, body }] = requests;
    assert.equal(url, '/ai-demo/chat/send');
    assert.equal(method, 'POST');
    assert.equal(headers['Content-Type'], 'application/json');
    assert.deepEqual(body, { message: 'hello', session_id: chat.sessionId, async: false, actions: true, memory: true, intelligent_rag: true });
  });

  test('every option reaches the server', async () => {
    const requests = fakeFetch(answer(200, { success: true, response: '' }));
    const options = { async: 'auto', actions: false, memory: false, intelligent_rag: false, workflow: 'w', on_busy: 'reject' };
    await new AsyncChatClient('https://api.test/').sendMessage('hello', { ...options, idempotencyKey: 'key' });
    const { message, session_id, ...flags } = requests[0].body;
    assert.deepEqual(flags, options);
    assert.equal(requests[0].headers['Idempotency-Key'], 'key');
    assert.equal(requests[0].url, 'https://api.test/ai-demo/chat/send');
  });

  test('a question comes with awaiting', async () => {
    const awaiting = { kind: 'text', prompt: 'Who?', optional: false };
    fakeFetch(answer(200, { success: true, response: 'Who?', awaiting }));
    assert.deepEqual((await new AsyncChatClient().sendMessage('x')).awaiting, awaiting);
  });

  test('401 rejects with the sentence of the server', async () => {
    fakeFetch(answer(401, { success: false, error: 'Sign in first.', code: 'not_authenticated' }));
    await fails(new AsyncChatClient().sendMessage('x'), { message: 'Sign in first.', code: 'not_authenticated', status: 401 });
  });

  test('field errors, job and Retry-After come along', async () => {
    fakeFetch(answer(429, { success: false, error: 'Slow down.', code: 'throttled', errors: { message: ['x'] }, job_id: 'j' }, { 'Retry-After': '7' }));
    await fails(new AsyncChatClient().sendMessage('x'), { status: 429, errors: { message: ['x'] }, jobId: 'j', retryAfter: 7 });
  });

  test('success false rejects whatever the HTTP status', async () => {
    fakeFetch(answer(200, { success: false, error: 'No.', code: 'no' }));
    await fails(new AsyncChatClient().sendMessage('x'), { message: 'No.', code: 'no' });
  });

  test('504 is "Request timed out"', async () => {
    fakeFetch(answer(504, { success: false, error: 'Took too long.', code: 'timeout', job_id: 'j' }));
    await fails(new AsyncChatClient().sendMessage('x'), { message: 'Request timed out', code: 'timeout', status: 504, jobId: 'j' });
  });

  test('a page instead of JSON rejects', async () => {
    fakeFetch(answer(502, '<html>'));
    await fails(new AsyncChatClient().sendMessage('x'), { message: 'The server answered 502', status: 502 });
    fakeFetch(answer(200, '<html>Sign in</html>'));
    await fails(new AsyncChatClient().sendMessage('x'), { code: 'not_json', status: 200 });
  });

  test('a dead network rejects', async () => {
    fakeFetch(new TypeError('fetch failed'));
    await fails(new AsyncChatClient().sendMessage('x'), { code: 'network', status: null });
  });
});

describe('an async send', () => {
  test('it works', async () => {
    const { pending, source, requests } = await started();
    assert.equal(source.url, JOB.stream_url);
    source.send(CONNECTED, WORKING, COMPLETED);
    assert.deepEqual(await pending, RESULT);
    assert.equal(source.readyState, 2);
    assert.equal(requests.length, 1);
  });

  test('the answer has the same shape as a sync one', async () => {
    const { pending, source } = await started();
    const awaiting = { kind: 'confirm', prompt: 'Really?', optional: false };
    source.send({ status: 'completed', response: 'Really?', seq: 1, awaiting });
    assert.deepEqual(await pending, { success: true, response: 'Really?', actions: [], sources: [], session_id: 'session-1', job_id: 'workflow_abc', awaiting });
  });

  test('a sync answer to an async send is taken as it is', async () => {
    fakeFetch(answer(200, { success: true, response: 'Quick', session_id: 's', job_id: 'j' }));
    assert.equal((await new AsyncChatClient().sendMessage('x', { async: 'auto' })).response, 'Quick');
    assert.equal(FakeEventSource.all.length, 0);
  });

  test('failed rejects with the error, or with "Workflow failed"', async () => {
    for (const [error, message] of [['No stock.', 'No stock.'], [undefined, 'Workflow failed']]) {
      const { pending, source } = await started();
      source.send({ status: 'failed', error, code: 'workflow_error', seq: 1 });
      await fails(pending, { message, code: 'workflow_error', status: null, jobId: 'workflow_abc' });
    }
  });

  test('a cancelled job says so in its code', async () => {
    const { pending, source } = await started();
    source.send({ status: 'failed', error: 'Cancelled.', code: 'cancelled', seq: 1 });
    await fails(pending, { message: 'Cancelled.', code: 'cancelled' });
  });

  test('timeout rejects with "Request timed out"', async () => {
    const { pending, source } = await started();
    source.send({ status: 'timeout', error: 'The workflow ran too long.', code: 'timeout', seq: 1 });
    await fails(pending, { message: 'Request timed out', code: 'timeout' });
  });
});

describe('callbacks', () => {
  test('none at all breaks nothing', async () => {
    const { pending, source } = await started();
    source.send(CONNECTED, WORKING, { ...WORKING, seq: 2 }, { ...COMPLETED, seq: 3 });
    assert.equal((await pending).response, 'Done');
  });

  for (const [how, set] of [
    ['a call', (chat, callback) => assert.equal(chat.onProgress(callback), chat)],
    ['assignment', (chat, callback) => { chat.onProgress = callback; }],
  ]) {
    test(`onProgress set by ${how} gets every frame`, async () => {
      const { chat, pending, source } = await started();
      const seen = [];
      set(chat, (frame, jobId) => seen.push([frame.status, jobId]));
      source.send(CONNECTED, WORKING, COMPLETED);
      await pending;
      assert.deepEqual(seen, [['connected', 'workflow_abc'], ['processing', 'workflow_abc'], ['completed', 'workflow_abc']]);
    });
  }

  test('onProgress can be set again and taken away', async () => {
    const { chat, pending, source } = await started();
    const seen = [];
    chat.onProgress(() => seen.push('first'));
    source.send(CONNECTED);
    chat.onProgress = () => seen.push('second');
    source.send(WORKING);
    chat.onProgress = null;
    source.send(COMPLETED);
    await pending;
    assert.deepEqual(seen, ['first', 'second']);
  });

  test('one that throws does not cost the answer', async (t) => {
    const logged = t.mock.method(console, 'error', () => {});
    const { chat, pending, source } = await started();
    chat.onProgress(() => { throw new Error('oops'); });
    source.send(CONNECTED, WORKING, COMPLETED);
    assert.equal((await pending).response, 'Done');
    assert.equal(logged.mock.callCount(), 3);
  });

  test('onStart gets the job before its first frame', async () => {
    fakeFetch(answer(202, JOB));
    const chat = new AsyncChatClient();
    const seen = [];
    chat.onStart(({ job_id }) => seen.push(job_id));
    chat.onProgress(({ status }) => seen.push(status));
    const pending = chat.sendMessage('x', { async: true });
    await settle();
    FakeEventSource.last.send(CONNECTED, COMPLETED);
    await pending;
    assert.deepEqual(seen, ['workflow_abc', 'connected', 'completed']);
  });

  test('onDelta gets the text so far, and what a restart takes back', async () => {
    const { chat, pending, source } = await started();
    const seen = [];
    chat.onDelta = (text) => seen.push(text);
    const words = (delta, seq) => ({ status: 'processing', type: 'delta', delta, seq });
    source.send(CONNECTED, words('A 🙂', 1), words(' good', 2));
    source.send({ status: 'processing', type: 'restarted', attempt: 2, text_length: 3, seq: 3 });
    source.send(words(' better', 4), { ...COMPLETED, seq: 5 });
    await pending;
    assert.deepEqual(seen, ['A 🙂', 'A 🙂 good', 'A 🙂', 'A 🙂 better']);
  });

  test('a restart from the beginning takes everything back', async () => {
    const { chat, source } = await started();
    const seen = [];
    chat.onDelta((text) => seen.push(text));
    source.send({ status: 'processing', type: 'delta', delta: 'gone', seq: 1 });
    source.send({ status: 'processing', type: 'restarted', text_length: 0, seq: 2 });
    assert.deepEqual(seen, ['gone', '']);
    chat.disconnect();
  });
});

describe('ending the waiting', () => {
  test('disconnect settles the pending promise', async () => {
    const { chat, pending, source } = await started();
    chat.disconnect();
    await fails(pending, { message: 'Disconnected', code: 'disconnected' });
    assert.equal(source.readyState, 2);
  });

  test('disconnect settles a request that is under way', async () => {
    fakeFetch(undefined);
    const chat = new AsyncChatClient();
    const pending = chat.sendMessage('x');
    chat.disconnect();
    await fails(pending, { message: 'Disconnected' });
  });

  test('disconnect with nothing pending is harmless, and the client stays usable', async () => {
    const chat = new AsyncChatClient();
    chat.disconnect();
    fakeFetch(answer(200, { success: true, response: 'Hi' }));
    assert.equal((await chat.sendMessage('x')).response, 'Hi');
  });

  test('frames that come after a disconnect reach nobody', async () => {
    const { chat, pending, source } = await started();
    const seen = [];
    chat.onProgress((frame) => seen.push(frame));
    chat.disconnect();
    source.onmessage({ data: JSON.stringify(COMPLETED) });
    await fails(pending, { message: 'Disconnected' });
    assert.deepEqual(seen, []);
  });

  test('a second send leaves the first one pending', async () => {
    const { chat, pending, source } = await started();
    fakeFetch(answer(202, { ...JOB, job_id: 'workflow_def' }));
    const second = chat.sendMessage('again', { async: true });
    await settle();
    assert.notEqual(FakeEventSource.last, source);
    FakeEventSource.last.send({ ...COMPLETED, response: 'Second' });
    source.send({ ...COMPLETED, response: 'First' });
    assert.equal((await pending).response, 'First');
    assert.equal((await second).response, 'Second');
  });

  test('disconnect settles all of several', async () => {
    const { chat, pending } = await started();
    const second = chat.sendMessage('again', { async: true });
    await settle();
    chat.disconnect();
    await fails(pending, { code: 'disconnected' });
    await fails(second, { code: 'disconnected' });
  });

  test('a signal ends one send', async () => {
    fakeFetch(answer(202, JOB));
    const controller = new AbortController();
    const pending = new AsyncChatClient().sendMessage('x', { async: true, signal: controller.signal });
    await settle();
    controller.abort();
    await fails(pending, { code: 'aborted', cause: controller.signal.reason });
    assert.equal(FakeEventSource.last.readyState, 2);
  });

  test('a signal that was aborted before sends nothing', async () => {
    fakeFetch(answer(202, JOB));
    await fails(new AsyncChatClient().sendMessage('x', { signal: AbortSignal.abort() }), { code: 'aborted' });
    assert.equal(FakeEventSource.all.length, 0);
  });
});

describe('resume, cancel, history', () => {
  test('resume with what the server said follows its links', async () => {
    const pending = new AsyncChatClient().resume({ job_id: JOB.job_id, stream_url: JOB.stream_url, status_url: JOB.status_url });
    assert.equal(FakeEventSource.last.url, JOB.stream_url);
    FakeEventSource.last.send(CONNECTED, { ...COMPLETED, session_id: 'session-9' });
    const { response, job_id, session_id } = await pending;
    assert.deepEqual([response, job_id, session_id], ['Done', 'workflow_abc', 'session-9']);
  });

  test('resume with an id finds the stream', async () => {
    const pending = new AsyncChatClient('https://api.test').resume('workflow_abc');
    assert.equal(FakeEventSource.last.url, 'https://api.test/ai-demo/workflow/stream/workflow_abc');
    FakeEventSource.last.send(COMPLETED);
    await pending;
  });

  test('resume with an id and a token streams by fetch: EventSource could not send the token', async () => {
    const text = [WORKING, COMPLETED].map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join('');
    const requests = fakeFetch(answer(200, text, { 'Content-Type': 'text/event-stream' }));
    const seen = [];
    const chat = new AsyncChatClient('', 'secret').onProgress(({ status }) => seen.push(status));
    assert.equal((await chat.resume('workflow_abc')).response, 'Done');
    assert.deepEqual(seen, ['processing', 'completed']);
    assert.equal(FakeEventSource.all.length, 0);
    assert.deepEqual(requests.map(({ url }) => url), ['/ai-demo/workflow/stream/workflow_abc']);
    assert.equal(requests[0].headers.Authorization, 'Bearer secret');
  });

  test('and polls where such a stream does not get through', async () => {
    const requests = fakeFetch(answer(200, { success: true, data: COMPLETED }));
    assert.equal((await new AsyncChatClient('', 'secret').resume('workflow_abc')).response, 'Done');
    assert.deepEqual(requests.map(({ url }) => url), ['stream', 'status'].map((name) => `/ai-demo/workflow/${name}/workflow_abc`));
  });

  test('cancel posts and resolves with the status', async () => {
    const requests = fakeFetch(answer(200, { success: true, data: { state: 'cancelled' } }));
    assert.deepEqual(await new AsyncChatClient().cancel('workflow_abc'), { state: 'cancelled' });
    assert.deepEqual([requests[0].method, requests[0].url], ['POST', '/ai-demo/workflow/cancel/workflow_abc']);
  });

  test('retry does a job again', async () => {
    const requests = fakeFetch(answer(200, { success: true, response: 'Now.', job_id: 'workflow_def' }));
    assert.equal((await new AsyncChatClient().retry('workflow_abc')).response, 'Now.');
    assert.deepEqual([requests[0].method, requests[0].url], ['POST', '/ai-demo/workflow/retry/workflow_abc']);
  });

  test('history of this session or another one', async () => {
    const requests = fakeFetch(answer(200, { success: true, messages: [] }));
    const chat = new AsyncChatClient();
    assert.deepEqual((await chat.history()).messages, []);
    await chat.history('a/b');
    await chat.jobs();
    assert.deepEqual(requests.map(({ url }) => url), [`/ai-demo/chat/history/${chat.sessionId}`, '/ai-demo/chat/history/a%2Fb', '/ai-demo/workflow/jobs']);
  });

  test('endpoints can be elsewhere, with or without a placeholder', async () => {
    const requests = fakeFetch(answer(200, { success: true, data: {} }));
    const urls = { history: '/h/%7Bsession_id%7D/', cancel: '/c/', send: '' };
    const chat = new AsyncChatClient('', null, { urls });
    await chat.history('$&');
    await chat.cancel('j');
    await chat.sendMessage('x');
    assert.deepEqual(requests.map(({ url }) => url), ['/h/%24%26/', '/c/j', '/ai-demo/chat/send']);
  });

  test('all of them can be below another path', async () => {
    const requests = fakeFetch(answer(200, { success: true, data: {} }));
    for (const path of ['/team/assistant/', 'team/assistant', '/']) await new AsyncChatClient('', null, { path }).cancel('j');
    const found = ['/team/assistant/workflow/cancel/j', '/team/assistant/workflow/cancel/j', '/workflow/cancel/j'];
    assert.deepEqual(requests.map(({ url }) => url), found);
  });
});

describe('who is asking', () => {
  test('a token', () => {
    assert.equal(new AsyncChatClient('', 'secret').getAuthHeaders().Authorization, 'Bearer secret');
  });

  test('a cookie session brings the CSRF token, to this site only', () => {
    installDocument();
    document.cookie = 'other=1; csrftoken=abc%3D; more=2';
    assert.equal(new AsyncChatClient().getAuthHeaders()['X-CSRFToken'], 'abc=');
    assert.ok(!('X-CSRFToken' in new AsyncChatClient('https://api.test').getAuthHeaders()));
    assert.ok(!('X-CSRFToken' in new AsyncChatClient('', 'secret').getAuthHeaders()));
  });

  test('session ids are unguessable and unique', () => {
    const ids = new Set(Array.from({ length: 50 }, () => new AsyncChatClient().sessionId));
    assert.equal(ids.size, 50);
    for (const id of ids) assert.match(id, /^session-[0-9a-f-]{36}$/);
  });

  test('session ids work on a page without randomUUID', (t) => {
    t.mock.method(crypto, 'randomUUID', undefined);
    Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true, writable: true });
    assert.match(new AsyncChatClient().sessionId, /^session-[0-9a-f]{32}$/);
    delete crypto.randomUUID;
  });
});

describe('actions and approvals', () => {
  const DONE = { success: true, response: 'Paid', actions: [], sources: [], session_id: 's', job_id: 'j' };

  test('act() names the action, its session, and nothing else', async () => {
    const requests = fakeFetch(answer(200, DONE));
    const chat = new AsyncChatClient();
    const result = await chat.act('action_1', { data: { amount: 5 }, idempotencyKey: 'k' });
    const [{ url, method, headers, body }] = requests;
    assert.deepEqual([url, method, headers['Idempotency-Key']], ['/ai-demo/chat/action', 'POST', 'k']);
    assert.deepEqual(body, { action_id: 'action_1', session_id: chat.sessionId, async: false, data: { amount: 5 } });
    assert.equal(result.response, 'Paid');
  });

  test('act() in the background follows the job', async () => {
    fakeFetch(answer(202, JOB));
    const pending = new AsyncChatClient().act('action_1', { async: true });
    await settle();
    FakeEventSource.last.send(CONNECTED, WORKING, COMPLETED);
    assert.equal((await pending).response, 'Done');
  });

  test('a refusal tells what is wrong with which field', async () => {
    fakeFetch(answer(400, { success: false, error: 'amount: Too small.', code: 'invalid', errors: { amount: ['Too small.'] } }));
    await fails(new AsyncChatClient().act('action_1'), { code: 'invalid', errors: { amount: ['Too small.'] } });
    fakeFetch(answer(409, { success: false, error: 'This action was used already.', code: 'action_used' }));
    await fails(new AsyncChatClient().act('action_1'), { code: 'action_used', status: 409 });
  });

  test('approve() posts the decision and brings what the workflow goes on to say', async () => {
    const requests = fakeFetch(answer(202, JOB));
    const pending = new AsyncChatClient().approve('approval_1', { approved: true, reason: 'old', answer: { n: 1 } });
    await settle();
    assert.equal(requests[0].url, '/ai-demo/workflow/approval/approval_1');
    assert.deepEqual(requests[0].body, { approved: true, reason: 'old', answer: { n: 1 } });
    FakeEventSource.last.send(CONNECTED, COMPLETED);
    assert.equal((await pending).response, 'Done');
  });

  test('approvals() lists what waits', async () => {
    const requests = fakeFetch(answer(200, { success: true, approvals: [{ approval_id: 'approval_1' }] }));
    assert.equal((await new AsyncChatClient().approvals()).approvals.length, 1);
    assert.equal(requests[0].url, '/ai-demo/workflow/approvals');
  });
});

describe('smart mode', () => {
  const chat = new AsyncChatClient();

  test('work is found by whole words', () => {
    for (const message of ['create invoice', 'Please MAKE one', 'a new one', 'add: 3 laptops', '"invoices"']) {
      assert.ok(chat.shouldUseAsync(message), message);
    }
    for (const message of ['What is your address?', 'any news?', 'maker', 'renewal', 'naïve éadd', 'created_at', '']) {
      assert.ok(!chat.shouldUseAsync(message), message);
    }
  });

  test('sendSmart asks for the background, or lets the server decide', async () => {
    const requests = fakeFetch(answer(200, { success: true, response: '' }));
    await chat.sendSmart('create invoice');
    await chat.sendSmart('hello', { memory: false });
    assert.deepEqual(requests.map(({ body }) => [body.async, body.memory]), [[true, true], ['auto', false]]);
  });
});
