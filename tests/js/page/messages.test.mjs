import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { displayError, displayFailure, displayMessage, fillMessage } from '../../../static/js/page/messages.js';
import { installDocument } from '../fakes.mjs';

let page;

beforeEach(() => {
  page = installDocument(['conversation']);
});

describe('messages', () => {
  test('it works', () => {
    const article = displayMessage('Hello\n<b>you</b>', { role: 'user' });
    assert.deepEqual(page.conversation.children, [article]);
    assert.equal(article.className, 'message message--user');
    assert.equal(article.textContent, 'Hello\n<b>you</b>');
    assert.equal(article.all('b').length, 0);
  });

  test('an empty one waits out of sight for its words', () => {
    const article = displayMessage('');
    assert.equal(article.hidden, true);
    fillMessage(article, { text: 'Some', busy: true });
    assert.equal(article.hidden, false);
    assert.equal(article.attributes['aria-busy'], 'true');
    fillMessage(article, { text: 'Some words' });
    assert.equal(article.attributes['aria-busy'], 'false');
    assert.equal(article.textContent, 'Some words');
  });

  test('what is to be approved is shown as it stands', () => {
    const text = "pay(to='[Bob](https://evil.example/)', note='**no**')";
    const article = displayMessage(text, { awaiting: { kind: 'approval' } });
    assert.equal(article.textContent, text);
    assert.equal(article.all('a').length + article.all('strong').length, 0);
  });

  test('errors are announced, from a string or an Error', () => {
    assert.equal(displayError('No.').attributes.role, 'alert');
    assert.equal(displayError(new Error('<i>No.</i>')).textContent, '<i>No.</i>');
  });

  test('an error can offer what to do', () => {
    let clicks = 0;
    const article = displayError('No.', { label: 'Try again', onClick: () => { clicks += 1; } });
    article.all('button')[0].onclick();
    assert.deepEqual([clicks, article.removed], [1, true]);
  });

  test('a failure is an alert, but what the user stopped only a note', () => {
    displayFailure({ message: 'No.', code: 'failed' });
    for (const code of ['cancelled', 'interrupted']) displayFailure({ message: 'Stopped.', code });
    const classes = page.conversation.children.map(({ className }) => className);
    assert.deepEqual(classes, ['message message--error', 'message message--note', 'message message--note']);
  });
});
