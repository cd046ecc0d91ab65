// Reads streams, a JSON list of texts, as AG-UI's client does: each event by its schema, then in order.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { HttpAgent } from '@ag-ui/client';

const streams = JSON.parse(readFileSync(0, 'utf8'));
// What isn't in the schema is only warned of.
console.warn = (...words) => assert.fail(words.join(' '));
console.error = () => {};
const read = [];
const headers = { 'Content-Type': 'text/event-stream' };
for (const parts of streams) {
  // Each part is a connection: the client comes back with what it has.
  const agent = new HttpAgent({ url: 'http://x/', threadId: 't', initialMessages: [{ id: 'u1', role: 'user', content: 'Hello' }] });
  let last;
  for (const text of parts) {
    agent.fetch = async () => new Response(text, { headers });
    const seen = await agent.runAgent({ runId: 'r', resume: agent.pendingInterrupts.map(({ id }) => ({ interruptId: id, status: 'cancelled' })) }, {
      onEvent: ({ event }) => { last = event.type; },
    }).catch((error) => error);
    assert.ok(!(seen instanceof Error), `${seen}: ${text}`);
  }
  read.push([last, agent.messages, agent.state]);
}
console.log(JSON.stringify(read));
