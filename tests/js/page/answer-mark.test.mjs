import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { answerMark } from '../../../static/chatflow/js/page/answer-mark.js';
import { displayMessage } from '../../../static/chatflow/js/page/messages.js';
import { installDocument } from '../fakes.mjs';

beforeEach(() => {
  installDocument();
});

describe('the mark of an answer', () => {
  test('it works', () => {
    const mark = answerMark({ workflow: 'chat', cut_off: true });
    assert.equal(mark.className, 'message__mark');
    assert.equal(mark.textContent, 'The answer is cut off here: it was too long for the model.');
  });

  test('a whole answer has none', () => {
    assert.equal(answerMark({ workflow: 'chat' }), null);
    assert.equal(answerMark(undefined), null);
  });

  test('it stands below the words', () => {
    installDocument(['conversation']);
    const article = displayMessage('Half an', { metadata: { cut_off: true } });
    const [words, mark] = article.children;
    assert.deepEqual([words.className, mark.className], ['message__text', 'message__mark']);
  });
});
