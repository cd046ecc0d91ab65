// MCP's own client against a running site: `node mcp.mjs URL TOKEN OTHERS_TOKEN GATES`.

import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient, resultFromTaskOutcome } from '@modelcontextprotocol/ext-tasks/client';
import { atGate, headersOf, open, othersToken, shut, token, until, url } from './site.mjs';

const address = `${url}/mcp`;
const run = `mcp-${process.pid}`;
const clientInfo = { name: 'test', version: '1' };
const clientCapabilities = { elicitation: { form: {} } };

async function connect(mode, bearer = token) {
  const client = new Client(clientInfo, { capabilities: clientCapabilities, versionNegotiation: { mode } });
  const requestInit = { headers: headersOf(bearer) };
  await client.connect(new StreamableHTTPClientTransport(new URL(address), { requestInit }));
  return client;
}

// The host's part of the extension: a request as it is, with its headers.
function dispatcher(bearer) {
  let last = 0;
  return async (request, { signal, context } = {}) => {
    const response = await fetch(address, {
      method: 'POST',
      signal,
      headers: {
        Authorization: `Bearer ${bearer}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': '2026-07-28',
        'Mcp-Method': request.method,
        'Mcp-Name': request.params.name ?? request.params.taskId,
        ...context?.headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: (last += 1), ...request }),
    });
    const { result, error } = await response.json();
    return error ? { kind: 'error', error } : { kind: 'result', result };
  };
}

async function sessionOf(bearer = token, onInputRequest = undefined) {
  const client = await connect('auto', bearer);
  return createTaskSessionFromClient(client, {
    endpointId: 'chatflow',
    rawDispatch: dispatcher(bearer),
    v2RequestFraming: { protocolVersion: '2026-07-28', clientInfo, clientCapabilities },
    onInputRequest,
  });
}

async function resultOf(execution) {
  const { outcome } = await execution.settle();
  return resultFromTaskOutcome(outcome);
}

async function callsPlainly(mode, era) {
  const client = await connect(mode);
  assert.equal(client.getProtocolEra(), era);
  const { tools } = await client.listTools();
  assert.ok(tools.some(({ name }) => name === 'gated'));
  const told = [];
  const done = await client.callTool(
    { name: 'gated', arguments: { message: `gated ${run}-${era}` } },
    { onprogress: (each) => told.push(each.progress) },
  );
  assert.equal(done.content[0].text, 'All four.');
  assert.ok(told.length > 4);
  assert.ok(told.every((each, index) => index === 0 || each > told[index - 1]));
  await client.close();
}

async function leaves() {
  const client = await connect('auto');
  const [gate, session] = [`${run}-left`, `${run}-left`];
  shut(gate);
  const leaving = new AbortController();
  const call = client.callTool(
    { name: 'speaker', arguments: { message: `speaker ${gate}`, session_id: session } },
    { signal: leaving.signal },
  );
  await atGate(gate);
  leaving.abort();
  await assert.rejects(call);
  // The session's next message waits for the job: it was cancelled, or this would never end.
  const next = await client.callTool({ name: 'failing', arguments: { message: 'go', session_id: session } });
  assert.equal(next.isError, true);
  open(gate);
  await client.close();
}

async function runsATask() {
  const session = await sessionOf();
  const gate = `${run}-task-2`;
  shut(gate);
  const execution = await session.callTool('gated', { message: `gated ${run}-task` });
  assert.equal(execution.kind, 'task');
  await atGate(gate);
  const task = session.task(execution.handle.taskId);
  const working = await task.snapshot();
  assert.equal(working.status, 'working');
  assert.match(working.statusMessage, /step 2 of 4/);
  // Somebody else's is none.
  const others = await sessionOf(othersToken);
  await assert.rejects(others.task(execution.handle.taskId).snapshot(), { code: -32602 });
  await assert.rejects(others.task(execution.handle.taskId).cancel(), { code: -32602 });
  await others.close();
  open(gate);
  const done = await resultOf(execution);
  assert.equal(done.structuredContent.response, 'All four.');
  assert.equal(done.structuredContent.job_id, execution.handle.taskId);
  await session.close();
}

async function cancelsATask() {
  const session = await sessionOf();
  const gate = `${run}-cancelled`;
  shut(gate);
  const execution = await session.callTool('speaker', { message: `speaker ${gate}` });
  await atGate(gate);
  const task = session.task(execution.handle.taskId);
  await task.cancel();
  await until(async () => (await task.snapshot()).status === 'cancelled');
  await task.cancel();
  open(gate);
  await session.close();
}

async function failsAsATool() {
  const session = await sessionOf();
  shut('endless');
  const [failed, late] = await Promise.all(
    ['failing', 'endless'].map(async (name) => resultOf(await session.callTool(name, { message: name }))),
  );
  assert.equal(failed.isError, true);
  assert.equal(failed.structuredContent.code, 'workflow_failed');
  assert.equal(late.isError, true);
  assert.equal(late.structuredContent.code, 'timeout');
  await session.close();
}

async function answersQuestions() {
  const asked = [];
  const session = await sessionOf(token, ({ kind, params }) => {
    asked.push([kind, params.message, Object.keys(params.requestedSchema.properties)]);
    if (asked.length > 2) return { action: 'decline' };
    if (asked.length > 1) return { action: 'accept', content: { answer: 'Nobody & Sons' } };
    return { action: 'accept', content: { approved: true, reason: 'Old.', 'answer.amount': 3 } };
  });
  const approved = await resultOf(await session.callTool('risky', { message: 'go' }));
  assert.equal(approved.structuredContent.response, 'True by alice: Old. Limit(amount=3)');
  assert.equal(asked[0][0], 'elicitation');
  assert.match(asked[0][1], /^Delete the rows\?\n/);
  assert.ok(asked[0][1].split('\n').includes('Rows: 1200'));
  assert.deepEqual(asked[0][2], ['approved', 'reason', 'answer.amount']);
  const dropped = await session.callTool('create_invoice', { message: 'create an invoice' });
  const { outcome } = await dropped.settle();
  assert.equal(outcome.status, 'cancelled');
  assert.equal(asked[1][1], 'Which customer is the invoice for?');
  assert.equal(asked.length, 3);
  await session.close();
}

async function refusesStrangers() {
  await assert.rejects(connect('auto', 'wrong'));
}

const scenes = [
  () => callsPlainly('auto', 'modern'),
  () => callsPlainly('legacy', 'legacy'),
  leaves,
  runsATask,
  cancelsATask,
  failsAsATool,
  answersQuestions,
  refusesStrangers,
];
await Promise.all(scenes.map((scene) => scene()));
console.log(scenes.length);
process.exit();
