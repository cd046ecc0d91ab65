// The AI SDK's own client against a running site: `node ai_sdk.mjs URL TOKEN OTHERS_TOKEN GATES`.

import assert from 'node:assert/strict';
import { Chat } from '@ai-sdk/react';
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } from 'ai';
import { headersOf, open, othersToken, shut, token, until, url } from './site.mjs';

const api = `${url}/api/chat`;
const run = `aisdk-${process.pid}`;

function chatOf(id, { bearer = token, fetch, how, ...options } = {}) {
  const transport = new DefaultChatTransport({ api, headers: headersOf(bearer), fetch, ...how });
  return new Chat({ id: `${run}-${id}`, transport, ...options });
}

const partsOf = (chat, type) => chat.lastMessage.parts.filter((part) => part.type === type);
const textsOf = (chat) => partsOf(chat, 'text').map((part) => part.text);
const dataOf = (chat, name) => partsOf(chat, `data-${name}`)[0]?.data;

// A connection that can be cut, as a network does it.
function cuttable() {
  const cut = new AbortController();
  const broken = async (input, init) => {
    const response = await fetch(input, init);
    const reader = response.body.getReader();
    const body = new ReadableStream({
      start: (controller) => cut.signal.addEventListener('abort', () => {
        reader.cancel().catch(() => {});
        controller.error(new TypeError('network error'));
      }),
      async pull(controller) {
        const { done, value } = await reader.read().catch(() => ({}));
        if (cut.signal.aborted) return;
        if (done) controller.close();
        else controller.enqueue(value);
      },
    });
    return new Response(body, response);
  };
  return { fetch: broken, cut: () => cut.abort() };
}

async function resumesExactly() {
  const gate = `${run}-speaks`;
  shut(gate);
  const net = cuttable();
  const chat = chatOf('speaks', { fetch: net.fetch });
  const sent = chat.sendMessage({ text: `speaker ${gate}` });
  await until(() => chat.lastMessage?.role === 'assistant' && textsOf(chat)[0] === 'before ');
  const { id } = chat.lastMessage;
  net.cut();
  await sent;
  assert.equal(chat.status, 'error');

  // The same page, and one that knows nothing, at once.
  const again = chatOf('speaks');
  again.messages = chat.messages;
  const fresh = chatOf('speaks');
  const both = [again.resumeStream(), fresh.resumeStream()];
  await until(() => [again, fresh].every((each) => each.status === 'streaming' && textsOf(each)[0] === 'before '));
  open(gate);
  await Promise.all(both);

  for (const each of [again, fresh]) {
    assert.equal(each.status, 'ready');
    assert.equal(each.lastMessage.id, id);
    assert.deepEqual(textsOf(each), ['before after']);
    assert.equal(dataOf(each, 'progress').progress, 100);
  }
  assert.equal(again.messages.length, 2);
  assert.equal(fresh.messages.length, 1);
  assert.deepEqual(again.lastMessage, fresh.lastMessage);

  // The next turn, and the answer once more.
  await again.sendMessage({ text: 'show moves' });
  assert.equal(again.messages.length, 4);
  assert.equal(partsOf(again, 'source-url').length, 1);
  assert.equal(partsOf(again, 'source-document').length, 1);
  assert.equal(dataOf(again, 'actions').length, 5);
  const answered = again.lastMessage.id;
  await again.regenerate();
  assert.equal(again.messages.length, 4);
  assert.notEqual(again.lastMessage.id, answered);
  assert.deepEqual(textsOf(again), ['What next?']);
}

async function goesOnWhereAnotherClientHasBegun() {
  const id = `${run}-begun`;
  const sent = await fetch(`${url}/ai-demo/chat/send`, {
    method: 'POST',
    headers: { ...headersOf(token), 'Content-Type': 'application/json' },
    body: JSON.stringify({ message: 'show moves', session_id: id, async: true }),
  });
  const { job_id: job } = await sent.json();
  const chat = chatOf('begun');
  await chat.resumeStream();
  assert.equal(chat.lastMessage.metadata.jobId, job);
  assert.deepEqual(textsOf(chat), ['What next?']);
}

async function stops() {
  const gate = `${run}-stops`;
  shut(gate);
  const chat = chatOf('stops');
  const sent = chat.sendMessage({ text: `speaker ${gate}` });
  await until(() => chat.lastMessage?.role === 'assistant' && textsOf(chat)[0]);
  const stop = () => fetch(`${api}/${chat.id}/stop`, { method: 'POST', headers: headersOf(token) });
  assert.deepEqual(await (await stop()).json(), { success: true, cancelled: 1 });
  await sent;
  assert.equal(chat.status, 'ready');
  assert.deepEqual(textsOf(chat), ['before ']);
  assert.deepEqual(await (await stop()).json(), { success: true, cancelled: 0 });
}

async function fails() {
  const chat = chatOf('fails');
  await chat.sendMessage({ text: 'failing' });
  assert.equal(chat.status, 'error');
  assert.equal(chat.error.message, 'The workflow failed. The error has been logged.');
  await chat.resumeStream();
  assert.equal(chat.status, 'error');
}

async function takesTooLong() {
  shut('endless');
  const chat = chatOf('late');
  await chat.sendMessage({ text: 'endless' });
  assert.equal(chat.status, 'error');
  assert.match(chat.error.message, /longer than 1 seconds/);
}

async function asks() {
  const prepareSendMessagesRequest = ({ id, messages, trigger, messageId, body }) =>
    ({ body: { ...body, id, trigger, messageId, messages: messages.slice(-1) } });
  const chat = chatOf('asks', { how: { prepareSendMessagesRequest } });
  await chat.sendMessage({ text: 'Create an invoice' });
  const question = dataOf(chat, 'awaiting');
  assert.equal(question.kind, 'text');
  assert.deepEqual(textsOf(chat), [question.prompt]);
  await chat.sendMessage({ text: 'Acme' });
  assert.equal(chat.messages.length, 4);
  assert.notEqual(dataOf(chat, 'awaiting').prompt, question.prompt);
}

async function approves() {
  const options = { sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses };
  const chat = chatOf('approves', options);
  await chat.sendMessage({ text: 'please' }, { body: { workflow: 'risky' } });
  const { id } = chat.lastMessage;
  const [tool] = partsOf(chat, 'dynamic-tool');
  assert.equal(tool.state, 'approval-requested');
  assert.deepEqual(tool.input.details, { Table: 'orders', Rows: 1200 });

  const answer = { amount: 5 };
  await chat.addToolApprovalResponse({
    id: tool.approval.id, approved: true, reason: 'fine', options: { body: { answer } },
  });
  await until(() => chat.status === 'ready' && textsOf(chat).length === 2);
  const said = 'True by alice: fine Limit(amount=5)';
  for (const each of [chat, chatOf('approves')]) {
    if (each !== chat) await each.resumeStream();
    assert.equal(each.lastMessage.id, id);
    assert.deepEqual(textsOf(each), ['Delete the rows?', said]);
    const [done] = partsOf(each, 'dynamic-tool');
    assert.equal(done.state, 'output-available');
    assert.deepEqual(done.output, { approved: true, reason: 'fine' });
  }
  assert.equal(chat.messages.length, 2);

  await chat.sendMessage({ text: 'again' }, { body: { workflow: 'risky' } });
  const [second] = partsOf(chat, 'dynamic-tool');
  await chat.addToolApprovalResponse({ id: second.approval.id, approved: false, reason: 'no' });
  await until(() => chat.status === 'ready' && textsOf(chat).length === 2);
  assert.equal(partsOf(chat, 'dynamic-tool')[0].state, 'output-denied');
  assert.deepEqual(textsOf(chat)[1], 'False by alice: no None');
}

async function showsNothingToOthers() {
  const mine = chatOf('mine');
  await mine.sendMessage({ text: 'show moves' });
  const others = chatOf('mine', { bearer: othersToken });
  await others.resumeStream();
  assert.equal(others.messages.length, 0);
  const nobodys = chatOf('mine', { bearer: 'wrong' });
  await nobodys.resumeStream();
  assert.equal(JSON.parse(nobodys.error.message).code, 'unauthenticated');
}

const all = [
  resumesExactly, goesOnWhereAnotherClientHasBegun, stops, fails, takesTooLong, asks, approves, showsNothingToOthers,
];
const wrong = [];
await Promise.all(all.map((each) => each().catch((error) => wrong.push([each.name, error]))));
if (wrong.length) {
  console.error(...wrong);
  process.exit(1);
}
console.log(all.length);
