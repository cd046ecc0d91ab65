// OpenAI's own package for Node: `node openai.mjs URL TOKEN OTHERS_TOKEN GATES`. Each check is its own
// conversation; how many there were is written.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { atGate, headersOf, open, othersToken, shut, token, until, url } from './site.mjs';

const baseURL = `${url}/v1`;
const openai = new OpenAI({ baseURL, apiKey: token });
const other = new OpenAI({ baseURL, apiKey: othersToken });
const ask = (content) => [{ role: 'user', content }];

const checks = {
  async 'chat completions are streamed, and the helper puts them together'() {
    const params = { model: 'gated', messages: ask('gated node-chat') };
    const stream = openai.chat.completions.stream(params);
    const whole = await stream.finalChatCompletion();
    assert.equal(whole.choices[0].finish_reason, 'stop');
    assert.equal(whole.choices[0].message.content, '1 2 3 4 \n\nAll four.');
  },

  async 'a failure is thrown, streamed or not, and asked for once'() {
    const params = { model: 'failing', messages: ask('failing node') };
    await assert.rejects(openai.chat.completions.create(params), { status: 500 });
    await assert.rejects(async () => {
      for await (const chunk of await openai.chat.completions.create({ ...params, stream: true })) {
        assert.notEqual(chunk.choices[0].finish_reason, 'stop');
      }
    });
    const response = await openai.responses.create({ model: 'failing', input: 'failing node' });
    assert.equal(response.status, 'failed');
    const jobs = await fetch(`${url}/ai-demo/workflow/jobs?limit=100`, {
      headers: headersOf(token),
    }).then((answer) => answer.json());
    assert.equal(jobs.jobs.filter(({ text }) => text === 'failing node').length, 3);
  },

  async 'a response is followed again, from the middle of its words'() {
    shut('node-words');
    const seen = [];
    let id;
    const stream = await openai.responses.create({
      model: 'speaker',
      input: 'speaker node-words',
      stream: true,
    });
    for await (const event of stream) {
      seen.push(event);
      id ??= event.response.id;
      // Leaving the loop hangs up.
      if (event.type === 'response.output_text.delta') break;
    }
    assert.equal((await openai.responses.retrieve(id)).output_text, 'before ');
    const rest = await openai.responses.retrieve(id, {
      stream: true,
      starting_after: seen.at(-1).sequence_number,
    });
    open('node-words');
    for await (const event of rest) seen.push(event);
    assert.deepEqual(seen.map((event) => event.sequence_number), [...seen.keys()]);
    const last = seen.at(-1);
    assert.equal(last.type, 'response.completed');
    assert.deepEqual(last.response.output, (await openai.responses.retrieve(id)).output);
    // The helper wants all events, and shows those that are new.
    const helper = openai.responses.stream({ response_id: id, starting_after: 5 });
    assert.equal((await helper.finalResponse()).output_text, 'before after');
    await assert.rejects(other.responses.retrieve(id), { status: 404 });
    await assert.rejects(other.responses.cancel(id), { status: 404 });
  },

  async 'a response is cancelled, and deleted'() {
    shut('node-cancelled');
    const params = { model: 'speaker', input: 'speaker node-cancelled', background: true };
    const { id, status } = await openai.responses.create(params);
    assert.equal(status, 'queued');
    await atGate('node-cancelled');
    await openai.responses.cancel(id);
    await until(async () => (await openai.responses.retrieve(id)).status === 'cancelled');
    const events = [];
    for await (const event of await openai.responses.retrieve(id, { stream: true })) events.push(event);
    assert.equal(events.at(-1).type, 'response.incomplete');
    open('node-cancelled');
    await openai.responses.delete(id);
    await assert.rejects(openai.responses.retrieve(id), { status: 404 });
  },

  async 'a question is answered by what it calls, an approval by a decision'() {
    const asked = await openai.responses.stream({ model: 'create_invoice', input: 'invoice' }).finalResponse();
    const call = asked.output.find(({ type }) => type === 'function_call');
    assert.equal(JSON.parse(call.arguments).prompt, asked.output_text);
    const next = await openai.responses.create({
      previous_response_id: asked.id,
      input: [{ type: 'function_call_output', call_id: call.call_id, output: 'cancel' }],
    });
    assert.equal(next.status, 'completed');

    const risky = await openai.responses.stream({ model: 'risky', input: 'rows' }).finalResponse();
    const wanted = risky.output.find(({ type }) => type === 'mcp_approval_request');
    const decision = { approval_request_id: wanted.id, approve: false, reason: 'No' };
    const decided = await openai.responses.create({
      previous_response_id: risky.id,
      input: [{ type: 'mcp_approval_response', ...decision }],
    });
    assert.equal(decided.output_text, 'False by alice: No None');
  },

  async 'errors are the package\'s own'() {
    const wrong = new OpenAI({ baseURL, apiKey: 'nobody' });
    await assert.rejects(wrong.models.list(), OpenAI.AuthenticationError);
    await assert.rejects(openai.responses.create({ model: 'nope', input: 'x' }), {
      code: 'model_not_found',
    });
    await assert.rejects(openai.responses.create({ input: '' }), { status: 400, param: 'input' });
    const models = [];
    for await (const model of openai.models.list()) models.push(model.id);
    assert.ok(models.includes('speaker'));
  },
};

await Promise.all(
  Object.entries(checks).map(async ([name, check]) => {
    try {
      await check();
    } catch (error) {
      throw new Error(name, { cause: error });
    }
  }),
);
console.log(Object.keys(checks).length);
