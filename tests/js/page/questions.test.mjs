import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { labelOf, questionBar } from '../../../static/chatflow/js/page/questions.js';
import { installDocument } from '../fakes.mjs';
import { page, submit } from './moves.mjs';

beforeEach(() => {
  installDocument();
});

describe('questions', () => {
  const buttons = (awaiting) => questionBar(awaiting, {}).all('button').map((node) => [node.value, node.textContent]);
  const CANCEL = ['cancel', 'Cancel the request'];

  test('choices send their value', () => {
    const sent = [];
    const awaiting = { kind: 'choice', prompt: 'Which?', choices: [{ value: 1, label: 'Acme <b>' }, { value: 'new', label: 'New' }] };
    const bar = questionBar(awaiting, { reply: (...reply) => sent.push(reply) });
    bar.all('button')[0].onclick();
    assert.deepEqual(sent, [['1', 'Acme <b>']]);
    assert.equal(bar.attributes['aria-label'], 'Which?');
    assert.equal(labelOf(awaiting, '1'), 'Acme <b>');
    assert.equal(labelOf(awaiting, 'else'), 'else');
    assert.equal(labelOf(undefined, 'yes'), 'yes');
  });

  test('confirm, approval, optional and plain questions', () => {
    assert.deepEqual(buttons({ kind: 'confirm' }), [['yes', 'Yes'], ['no', 'No'], CANCEL]);
    assert.deepEqual(buttons({ kind: 'approval' }), [['yes', 'Yes'], ['no', 'No'], CANCEL]);
    assert.deepEqual(buttons({ kind: 'text', optional: true }), [['skip', 'Skip'], CANCEL]);
    assert.deepEqual(buttons({ kind: 'form' }), [CANCEL]);
    assert.equal(labelOf({ kind: 'confirm' }, 'yes'), 'Yes');
    assert.equal(questionBar(null, {}), null);
  });

  test('a form answers as JSON and is shown as words', () => {
    const moves = page();
    const awaiting = { kind: 'form', prompt: 'Who?', schema: { type: 'object', properties: { name: { type: 'string', title: 'Your name' }, gift: { type: 'boolean' } } } };
    const bar = questionBar(awaiting, moves);
    const [name, gift] = bar.all('input');
    [name.value, gift.checked] = ['Ada', true];
    submit(bar.all('form')[0]);
    assert.deepEqual(moves.done, [['{"name":"Ada","gift":true}', 'Your name: Ada\ngift: Yes']]);
    assert.equal(labelOf(awaiting, '{"name":"Ada"}'), 'Your name: Ada');
    for (const words of ['cancel', '5', '"a"']) assert.equal(labelOf(awaiting, words), words);
  });
});
