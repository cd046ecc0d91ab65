import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Fields } from '../../../static/chatflow/js/page/fields.js';
import { installDocument } from '../fakes.mjs';
import { SCHEMA } from './moves.mjs';

beforeEach(() => {
  installDocument();
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
