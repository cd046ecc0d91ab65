import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { displayError, displayMessage } from '../../../static/chatflow/js/page/messages.js';
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

  test('errors are announced, from a string or an Error', () => {
    displayError('No.');
    displayError(new Error('<i>No.</i>'));
    const [one, other] = page.conversation.children;
    assert.deepEqual([one.attributes.role, other.textContent], ['alert', '<i>No.</i>']);
  });
});
