import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ChatError } from '../../../static/js/async-chat.js';
import { Actions, actionBar } from '../../../static/chatflow/js/page/actions.js';
import { installDocument, settle } from '../fakes.mjs';
import { SCHEMA, invalid, labels, page, submit } from './moves.mjs';

beforeEach(() => {
  installDocument();
});

describe('actions', () => {
  test('a button acts once, and says so', async () => {
    const moves = page();
    const action = { id: 'action_1', type: 'button', label: 'Pay <b>' };
    const bar = actionBar([action], moves);
    const [button] = bar.all('button');
    button.onclick();
    button.onclick();
    await settle();
    assert.deepEqual(moves.done, [[action, undefined]]);
    const [settled] = bar.all('button');
    assert.deepEqual([settled.textContent, settled.disabled], ['Pay <b> used', true]);
    assert.equal(bar.all('b').length, 0);
  });

  test('a form that stands open stays when another action has changed, or is not offered any more', () => {
    const order = { id: 'b', type: 'form', label: 'Order', schema: SCHEMA };
    const again = { type: 'quick_reply', label: 'Again', message: 'again' };
    const actions = new Actions(page());
    actions.show([{ id: 'a', type: 'button', label: 'Pay' }, order, again]);
    actions.node.all('button')[1].onclick();
    const [form] = actions.node.all('form');
    actions.show([{ id: 'a', type: 'button', label: 'Pay', state: 'used' }, order, null]);
    assert.equal(actions.node.all('form')[0], form);
    assert.deepEqual(labels(actions.node).filter((label) => !['Order', 'Back'].includes(label)), ['Pay used']);
  });

  test('links go to safe places only', () => {
    const bar = actionBar([{ id: 'a', type: 'link', label: 'Open', url: '/i/1' }, { id: 'b', type: 'link', label: 'Evil', url: 'javascript:alert(1)' }], page());
    assert.deepEqual(bar.all('a').map(({ textContent }) => textContent), ['Open']);
    assert.equal(actionBar([], page()), null);
  });

  test('a quick reply without an id is a message', () => {
    const moves = page();
    actionBar([{ type: 'quick_reply', label: 'Again', message: 'create invoice' }], moves).all('button')[0].onclick();
    assert.deepEqual(moves.done, [['create invoice', 'Again']]);
  });

  test('what was used or has expired stays so after a reload', () => {
    const bar = actionBar(
      [
        { id: 'a', type: 'button', label: 'Pay', state: 'used' },
        { id: 'b', type: 'link', label: 'Open', url: '/', state: 'expired' },
        { id: 'c', type: 'button', label: 'Late', state: 'offered', expires_at: '2020-01-01T00:00:00Z' },
      ],
      page(),
    );
    assert.deepEqual(labels(bar), ['Pay used', 'Open expired', 'Late expired']);
    assert.ok(bar.all('button').every(({ disabled }) => disabled));
  });

  test('the server knows better what was used', async () => {
    for (const [code, state] of [['action_used', 'used'], ['action_expired', 'expired']]) {
      const bar = actionBar([{ id: 'a', type: 'button', label: 'Pay' }], page(new ChatError('x', { code, status: 409 })));
      bar.all('button')[0].onclick();
      await settle();
      assert.deepEqual(labels(bar), [`Pay ${state}`]);
    }
  });

  test('after another error it can be tried again', async () => {
    const bar = actionBar([{ id: 'a', type: 'button', label: 'Pay' }], page(new ChatError('x', { code: 'network' })));
    bar.all('button')[0].onclick();
    await settle();
    assert.deepEqual([labels(bar), bar.all('button')[0].disabled], [['Pay'], false]);
  });

  test('a confirm asks first, and can be left', async () => {
    const moves = page();
    const bar = actionBar([{ id: 'a', type: 'confirm', label: 'Delete', prompt: 'Really <i>all</i>?' }], moves);
    bar.all('button')[0].onclick();
    assert.equal(bar.all('p')[0].textContent, 'Really <i>all</i>?');
    bar.all('button').find(({ textContent }) => textContent === 'Back').onclick();
    assert.deepEqual([labels(bar), moves.done], [['Delete'], []]);
    bar.all('button')[0].onclick();
    submit(bar.all('form')[0]);
    await settle();
    assert.equal(moves.done.length, 1);
  });

  test('a form brings what was filled in, and shows what is wrong with it', async () => {
    const moves = page(invalid({ count: ['Too small.'], data: ['Odd.'] }));
    const bar = actionBar([{ id: 'a', type: 'form', label: 'Order', schema: SCHEMA }], moves);
    bar.all('button')[0].onclick();
    submit(bar.all('form')[0]);
    await settle();
    assert.equal(moves.done.length, 1);
    const shown = bar.all('p').filter(({ className, hidden }) => className === 'field__error' && !hidden);
    assert.deepEqual(shown.map(({ textContent }) => textContent), ['Too small.', 'data: Odd.']);
    assert.equal(bar.all('form').length, 1);
  });
});
