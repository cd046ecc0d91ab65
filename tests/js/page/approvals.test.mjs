import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ChatError } from '../../../static/js/async-chat.js';
import { questionBar } from '../../../static/chatflow/js/page/questions.js';
import { installDocument, settle } from '../fakes.mjs';
import { invalid, labels, page, submit } from './moves.mjs';

beforeEach(() => {
  installDocument();
});

describe('approvals', () => {
  const APPROVAL = { kind: 'approval', prompt: 'Delete it?', approval_id: 'approval_1', details: { Invoice: 'INV-1 <b>', Lines: 3 } };
  const find = (bar, label) => bar.all('button').find(({ textContent }) => textContent === label);

  test('an approval shows what it is about, and takes a reason', async () => {
    const moves = page();
    const bar = questionBar(APPROVAL, moves);
    assert.deepEqual(bar.all('dd').map(({ textContent }) => textContent), ['INV-1 <b>', '3']);
    assert.deepEqual(labels(bar), ['Approve', 'Reject', 'Cancel the request']);
    bar.all('input')[0].value = ' too early ';
    find(bar, 'Reject').onclick();
    await settle();
    assert.deepEqual(moves.done, [[APPROVAL, { approved: false, reason: 'too early' }]]);
    assert.equal(bar.removed, true);
  });

  test('Enter in the reason decides nothing', () => {
    const moves = page();
    const bar = questionBar(APPROVAL, moves);
    submit(bar.all('form')[0]);
    assert.deepEqual(moves.done, []);
    assert.ok(bar.all('button').every(({ type }) => type === 'button'));
  });

  test('a typed answer goes with an approval only', async () => {
    const schema = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } };
    const moves = page(invalid({ n: ['Too small.'] }));
    const bar = questionBar({ ...APPROVAL, schema }, moves);
    const [n, reason] = bar.all('input');
    [n.value, reason.value] = ['5', ''];
    find(bar, 'Approve').onclick();
    await settle();
    assert.deepEqual(moves.done[0][1], { approved: true, reason: '', answer: { n: 5 } });
    assert.ok(bar.all('p').some(({ textContent }) => textContent === 'Too small.'));
    assert.equal(n.constructor.focused, n);
    find(bar, 'Reject').onclick();
    await settle();
    assert.deepEqual(moves.done[1][1], { approved: false, reason: '' });
  });

  test('a decision that came too late closes the question', async () => {
    const bar = questionBar(APPROVAL, page(new ChatError('x', { code: 'approval_decided', status: 409 })));
    bar.all('input')[0].value = '';
    find(bar, 'Approve').onclick();
    await settle();
    assert.equal(bar.removed, true);
  });

  test('one that did not get through can be repeated', async () => {
    const bar = questionBar(APPROVAL, page(new ChatError('x', { code: 'network' })));
    bar.all('input')[0].value = '';
    find(bar, 'Approve').onclick();
    await settle();
    assert.deepEqual([bar.removed, find(bar, 'Approve').disabled], [undefined, false]);
  });
});
