import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { turnFacts } from '../../../static/chatflow/js/page/turn-facts.js';
import { installDocument } from '../fakes.mjs';

beforeEach(() => {
  installDocument();
  document.documentElement.lang = 'en';
});

describe('the facts of a turn', () => {
  test('it works', () => {
    const facts = turnFacts({ model: 'gpt', requests: 2, input_tokens: 1000, output_tokens: 234, cost: '0.00123', duration_ms: 3400, queue_ms: 250 });
    assert.equal(facts.textContent, 'gpt · 1,234 tokens · $0.0012 · 3.4 s');
    assert.equal(facts.title, '2 requests to the model\n1,000 tokens in, 234 out\nWaited 0.3 s in the queue');
  });

  test('only what is known is said', () => {
    assert.equal(turnFacts({ duration_ms: 1000, cost: null, model: '' }).textContent, '1 s');
    assert.equal(turnFacts({}), null);
  });
});
