import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { actionBar } from '../../../static/js/page/actions.js';
import { ChatError } from '../../../static/js/client/errors.js';
import { Fields } from '../../../static/js/page/fields.js';
import { labelOf, questionBar } from '../../../static/js/page/replies.js';
import { sourceList } from '../../../static/js/page/sources.js';
import { installDocument, settle } from '../fakes.mjs';

const SCHEMA = {
  type: 'object',
  required: ['name', 'count', 'size'],
  properties: {
    name: { type: 'string', title: 'Your name', maxLength: 20 },
    count: { type: 'integer', minimum: 1 },
    size: { enum: ['s', 'l'] },
    colour: { $ref: '#/$defs/Colour', default: 'blue' },
    gift: { type: 'boolean' },
    note: { anyOf: [{ type: 'string', format: 'email' }, { type: 'null' }], default: null },
    extra: { type: 'array' },
  },
  $defs: { Colour: { enum: ['red', 'blue'] } },
};
const invalid = (errors) => new ChatError('wrong', { code: 'invalid', status: 400, errors });
const submit = (form) => form.onsubmit({ preventDefault() {} });
const labels = (bar) => bar.all('button').map(({ textContent }) => textContent);

/** What a page does, noted; `outcome` is what the server says to it. */
function page(outcome = null) {
  const done = [];
  return {
    done,
    reply: (...said) => done.push(said),
    act: async (...used) => (done.push(used), outcome),
    decide: async (...decided) => (done.push(decided), outcome),
  };
}

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

describe('fields', () => {
  test('they come in the order that the server gives', () => {
    const { node } = new Fields({ ...SCHEMA, 'x-order': ['size', 'name', 'gone'] });
    assert.deepEqual(node.all('label').map(({ htmlFor, textContent }) => textContent).slice(0, 3), ['size', 'Your name', 'count']);
  });

  const filled = () => {
    const fields = new Fields(SCHEMA);
    const [name, count] = fields.node.all('input');
    return { fields, name, count, selects: fields.node.all('select') };
  };

  test('it works', () => {
    const { fields, name, count, selects } = filled();
    name.value = 'Ada';
    count.value = '2';
    selects[0].selectedIndex = 1;
    selects[1].selectedIndex = 0;
    fields.node.all('input').find(({ type }) => type === 'checkbox').checked = true;
    fields.node.all('textarea')[0].value = '[1]';
    assert.deepEqual(fields.values, { name: 'Ada', count: 2, size: 'l', gift: true, extra: [1] });
  });

  test('each has its label, its type and its limits', () => {
    const { fields } = filled();
    const inputs = ['input', 'select', 'textarea'].flatMap((tag) => fields.node.all(tag));
    const named = Object.fromEntries(inputs.map((input) => [input.name, input]));
    for (const label of fields.node.all('label')) assert.ok(inputs.some(({ id }) => id === label.htmlFor));
    assert.deepEqual([named.name.type, named.name.required, named.name.maxLength], ['text', true, 20]);
    assert.deepEqual([named.count.type, named.count.min, named.count.step], ['number', 1, '1']);
    assert.equal(named.note.type, 'email');
    assert.equal(named.note.required, false);
    assert.deepEqual(named.size.all('option').map(({ textContent }) => textContent), ['s', 'l']);
    assert.deepEqual(named.colour.all('option').map(({ textContent }) => textContent), ['', 'red', 'blue']);
    assert.equal(named.colour.all('option')[2].selected, true);
  });
});

describe('questions', () => {
  const APPROVAL = { kind: 'approval', prompt: 'Delete it?', approval_id: 'approval_1', details: { Invoice: 'INV-1 <b>', Lines: 3 } };
  const find = (bar, label) => bar.all('button').find(({ textContent }) => textContent === label);

  test('an approval shows what it is about, and takes a reason', async () => {
    const moves = page();
    const bar = questionBar(APPROVAL, moves);
    assert.deepEqual(bar.all('dd').map(({ textContent }) => textContent), ['INV-1 <b>', '3']);
    assert.deepEqual(labels(bar), ['Approve', 'Reject', 'Cancel']);
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

  test('a form answers as JSON and is shown as words', () => {
    const moves = page();
    const awaiting = { kind: 'form', prompt: 'Who?', schema: { type: 'object', properties: { name: { type: 'string' } } } };
    const bar = questionBar(awaiting, moves);
    bar.all('input')[0].value = 'Ada';
    submit(bar.all('form')[0]);
    assert.deepEqual(moves.done, [['{"name":"Ada"}', 'name: Ada']]);
    assert.equal(labelOf(awaiting, '{"name":"Ada"}'), 'name: Ada');
    assert.equal(labelOf(awaiting, 'cancel'), 'cancel');
  });
});

describe('sources', () => {
  test('linked where the address is safe; all else is text', () => {
    const list = sourceList([
      { id: 1, title: 'Prices', url: 'https://example.com/', relevance: 87.4, content_preview: '<b>9</b>' },
      { title: 'Evil', url: 'javascript:alert(1)' },
    ]);
    assert.deepEqual(list.all('a').map(({ textContent }) => textContent), ['Prices']);
    assert.deepEqual(list.all('li').map(({ textContent }) => textContent), ['Prices 87\u00a0%<b>9</b>', 'Evil']);
    assert.equal(list.all('summary')[0].textContent, 'Sources (2)');
    assert.equal(list.all('b').length, 0);
    assert.equal(sourceList([]), null);
  });
});
