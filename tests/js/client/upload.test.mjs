import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { AsyncChatClient } from '../../../static/chatflow/js/client/async-chat.js';
import { FakeServer } from './fake-server.mjs';

let server;
let chat;

beforeEach(async () => {
  server = await new FakeServer().start();
  chat = new AsyncChatClient(server.url, 'secret');
});

afterEach(() => server.stop());

test('it brings the document, whose id a send takes', async () => {
  const parts = [];
  const { id } = await chat.upload(new Blob(['words']), { sessionId: 's-1', onProgress: (part) => parts.push(part) });
  await chat.send('', { files: [id] });
  assert.match(server.requests[0].body, /name="session_id"\r\n\r\ns-1\r\n/);
  assert.deepEqual(parts, [1]);
  assert.deepEqual([server.sent[0].message, server.sent[0].files], ['', ['d-1']]);
});

test('a refusal says why', async () => {
  server.refuse = () => 413;
  await assert.rejects(chat.upload(new Blob(['words'])), { status: 413, message: 'No.' });
});

test('disconnect() ends it', async () => {
  const pending = chat.upload(new Blob(['words']));
  chat.disconnect();
  await assert.rejects(pending, { code: 'disconnected' });
});
