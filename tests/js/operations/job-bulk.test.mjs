import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Run } from '../../../static/chatflow/js/operations/job-bulk.js';

/** An element that somebody can click, or that is sent. */
class Part {
  constructor(values = {}) {
    Object.assign(this, { hidden: false, textContent: '', heard: {}, ...values });
  }

  addEventListener(type, listener) {
    this.heard[type] = listener;
  }

  focus() {}
}

let parts, answers, sent, shown, left;

const run = () => new Run({ querySelector: (selector) => parts[selector] }, {
  send: async () => {
    sent += 1;
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return next;
  },
  show: (page, fresh) => {
    shown.push(fresh.done);
    fresh.stop?.();
    return Boolean(fresh.isWrong);
  },
  leave: (address) => (left = address),
});

beforeEach(() => {
  [answers, sent, shown, left] = [[], 0, [], null];
  parts = { form: new Part(), '[data-go]': new Part(), '[data-stop]': new Part({ hidden: true }), '.jl-back': new Part({ href: '/jobs?q=x' }), '[data-said]': new Part({ hidden: true }) };
});

test('it goes on by itself until the server says that it is done', async () => {
  answers = [{ page: { done: 1 } }, { page: { done: 2 } }, { isDone: true }];
  await run().run();
  assert.deepEqual([sent, shown, left], [3, [1, 2], '/jobs?q=x']);
});

test('it can be stopped, and goes on from there', async () => {
  answers = [{ page: { done: 1, stop: () => parts['[data-stop]'].heard.click() } }, { isDone: true }];
  const running = run();
  await running.run();
  assert.deepEqual([sent, left, parts['[data-go]'].hidden, parts['[data-go]'].textContent], [1, null, false, 'Go on']);
  assert.match(parts['[data-said]'].textContent, /^Stopped/);
  await running.run();
  assert.equal(left, '/jobs?q=x');
});

test('without an answer, or with a form that is refused, it waits for whoever acts', async () => {
  for (const answer of [new Error('offline'), { page: null }, { page: { isWrong: true } }]) {
    answers = [answer];
    await run().run();
    assert.equal(left, null);
    assert.equal(parts['[data-stop]'].hidden, true);
    assert.notEqual(parts['[data-said]'].textContent, '');
  }
});
