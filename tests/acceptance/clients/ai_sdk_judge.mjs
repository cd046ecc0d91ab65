// Reads streams, a JSON list of texts, as the AI SDK does: each chunk by its schema, then in order.

import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { DefaultChatTransport, readUIMessageStream } from 'ai';

const streams = JSON.parse(readFileSync(0, 'utf8'));
const read = [];
for (const text of streams) {
  const transport = new DefaultChatTransport({ api: 'http://x/', fetch: async () => new Response(text) });
  const stream = await transport.reconnectToStream({ chatId: 'x' });
  const errors = [];
  let last;
  const onError = (error) => errors.push(error.message);
  for await (const message of readUIMessageStream({ stream, onError })) last = message;
  read.push([last, errors]);
}
assert.equal(read.length, streams.length);
console.log(JSON.stringify(read));
