// AG-UI's own client against a running site: `node ag_ui.mjs URL TOKEN OTHERS_TOKEN GATES`.

import assert from 'node:assert/strict';
import { HttpAgent } from '@ag-ui/client';
import { atGate, headersOf, open, othersToken, shut, token, until, url, visits } from './site.mjs';

const run = `agui-${process.pid}`;

function agentOf(id, { bearer = token, workflow = '', ...options } = {}) {
  return new HttpAgent({
    url: `${url}/ag-ui/${workflow}`, headers: headersOf(bearer), threadId: `${run}-${id}`, ...options,
  });
}

// Runs, and notes the last event.
async function runs(agent, runId, more = {}) {
  const seen = [];
  await agent.runAgent({ runId: `${agent.threadId}-${runId}`, ...more }, { onEvent: ({ event }) => { seen.push(event); } });
  return seen.at(-1);
}

function says(agent, content) {
  agent.addMessage({ id: crypto.randomUUID(), role: 'user', content });
  return agent;
}

const shown = (agent) => agent.messages.filter((each) => each.role !== 'activity').map((each) => each.content);
const answerOf = (agent) => agent.messages.findLast((each) => each.role === 'assistant')?.content;
const post = (path, bearer) => fetch(`${url}/ag-ui/${path}`, { method: 'POST', headers: headersOf(bearer) });

// What the seed's dialect streams.
async function eventsOf(path) {
  const response = await fetch(`${url}/ai-demo/${path}`, { headers: headersOf(token) });
  return (await response.text()).match(/(?<=^data: ).*/gm).map((data) => JSON.parse(data));
}

async function fullRun() {
  const agent = says(agentOf('full', { workflow: 'moves' }), 'Hello');
  const custom = [];
  await agent.runAgent({}, { onCustomEvent: ({ event }) => { custom.push(event.name); } });
  assert.deepEqual(custom, ['sources', 'actions']);
  assert.deepEqual(shown(agent), ['Hello', 'What next?']);
  assert.equal(agent.state.status, 'completed');
  assert.equal(agent.state.progress, 100);

  // The next turn, by another workflow.
  says(agent, 'gated agui').url = `${url}/ag-ui/gated`;
  const { result } = await agent.runAgent();
  assert.equal(result.response, 'All four.');
  assert.equal(agent.messages.at(-1).content, '1 2 3 4 ');
  assert.ok(agent.messages.some((each) => each.activityType === 'PROGRESS' && each.content.message));
}

async function resumesExactly() {
  const gate = `${run}-speaks`;
  shut(gate);
  const agent = says(agentOf('speaks'), `speaker ${gate}`);
  const sent = runs(agent, 1);
  await until(() => answerOf(agent) === 'before ');
  agent.abortRun();
  await sent;
  assert.deepEqual(shown(agent), [`speaker ${gate}`, 'before ']);

  // The same agent, a page that knows the run's name, and one that knows the thread alone; at once.
  const fresh = agentOf('speaks');
  const lost = agentOf('speaks', { fetch: () => fetch(`${url}/ag-ui/threads/${run}-speaks/stream`, { headers: headersOf(token) }) });
  const all = [agent, fresh, lost];
  const again = all.map((each) => runs(each, 1));
  await until(() => all.every((each) => each.isRunning && answerOf(each) === 'before '));
  // The seed's dialect tells of the same job.
  const frames = eventsOf(`workflow/stream/${agent.state.jobId}`);
  open(gate);
  for (const last of await Promise.all(again)) {
    assert.equal(last.type, 'RUN_FINISHED');
    assert.equal(last.runId, `${run}-speaks-1`);
  }
  for (const each of all) assert.deepEqual(shown(each), [`speaker ${gate}`, 'before after']);
  assert.equal((await frames).map((each) => each.delta ?? '').join(''), 'before after');

  // It has ended; nothing begins anew.
  for (const each of [...all, agentOf('speaks')]) {
    await runs(each, 1);
    assert.deepEqual(shown(each), [`speaker ${gate}`, 'before after']);
  }
  assert.equal(visits(gate), 1);
}

async function cancels() {
  const gate = `${run}-stops`;
  shut(gate);
  const agent = says(agentOf('stops'), `speaker ${gate}`);
  const last = runs(agent, 1);
  await atGate(gate);
  assert.equal((await post(`threads/${run}-stops/cancel`, othersToken)).status, 404);
  const stopped = await post(`threads/${run}-stops/cancel`, token);
  assert.deepEqual(await stopped.json(), { success: true, cancelled: 1 });
  assert.deepEqual((await last).outcome, { type: 'cancelled' });
  open(gate);
  const again = await post(`threads/${run}-stops/cancel`, token);
  assert.deepEqual(await again.json(), { success: true, cancelled: 0 });
}

async function fails() {
  const failed = await runs(says(agentOf('fails'), 'failing'), 1);
  assert.equal(failed.type, 'RUN_ERROR');
  assert.equal(failed.code, 'workflow_failed');
  assert.ok(!failed.message.includes('as it was asked to'));
}

async function runsOutOfTime() {
  shut('endless');
  assert.equal((await runs(says(agentOf('late'), 'endless'), 1)).code, 'timeout');
}

async function asks() {
  const agent = says(agentOf('asks', { workflow: 'greeter' }), 'Hello');
  await runs(agent, 1);
  assert.deepEqual(shown(agent), ['Hello', 'What is your name?']);
  const [asked] = agent.pendingInterrupts;
  await runs(agent, 2, { resume: [{ interruptId: asked.id, status: 'resolved', payload: 'Carol' }] });
  assert.equal(answerOf(agent), 'Hello Carol.');
  assert.deepEqual(agent.pendingInterrupts, []);

  // By words, from a page that knows nothing of the question.
  await runs(says(agent, 'Again'), 3);
  const fresh = says(agentOf('asks'), 'Dave');
  await runs(fresh, 4);
  assert.equal(answerOf(fresh), 'Hello Dave.');

  fresh.url = agent.url;
  await runs(says(fresh, 'Once more'), 5);
  const [dropped] = fresh.pendingInterrupts;
  const last = await runs(fresh, 6, { resume: [{ interruptId: dropped.id, status: 'cancelled' }] });
  assert.deepEqual(last.outcome, { type: 'cancelled' });
  assert.deepEqual(fresh.pendingInterrupts, []);
}

async function approves() {
  const agent = says(agentOf('approves', { workflow: 'risky' }), 'Do it');
  await runs(agent, 1);
  const [asked] = agent.pendingInterrupts;
  assert.equal(asked.reason, 'approval');
  assert.deepEqual(asked.metadata.details, { Table: 'orders', Rows: 1200 });
  assert.ok(new Date(asked.expiresAt) > new Date());

  const payload = { approved: true, reason: 'fine', answer: { amount: 5 } };
  const resume = [{ interruptId: asked.id, status: 'resolved', payload }];
  // It can be lost on its way, and sent again.
  const twice = [agent, agentOf('approves', { workflow: 'risky' })].map((each) => runs(each, 2, { resume }));
  for (const last of await Promise.all(twice)) {
    assert.equal(last.result.response, 'True by alice: fine Limit(amount=5)');
  }
}

async function isOnesOwn() {
  const gate = `${run}-own`;
  shut(gate);
  const agent = says(agentOf('own'), `speaker ${gate}`);
  const last = runs(agent, 1);
  await atGate(gate);
  const theirs = `${url}/ag-ui/threads/${run}-own/stream`;
  assert.equal((await fetch(theirs, { headers: headersOf(othersToken) })).status, 404);
  // By the same names Bob has a run of his own.
  const bob = says(agentOf('own', { bearer: othersToken, workflow: 'moves' }), 'Hello');
  await runs(bob, 1);
  assert.deepEqual(shown(bob), ['Hello', 'What next?']);
  open(gate);
  assert.equal((await last).result.response, 'before after');

  const nobody = says(agentOf('own', { bearer: 'wrong' }), 'Hello');
  const refusal = await nobody.runAgent({}, { onRunFailed: () => ({ stopPropagation: true }) }).catch((error) => error);
  assert.ok(!shown(nobody)[1], refusal);
}

const all = [fullRun, resumesExactly, cancels, fails, runsOutOfTime, asks, approves, isOnesOwn];
await Promise.all(all.map((each) => each()));
console.log(all.length);
