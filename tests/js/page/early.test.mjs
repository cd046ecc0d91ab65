/** What is sent before the page's own script has begun. */

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';

const message = { value: '' };
const send = { disabled: true };
const form = { message, send, dataset: {}, requestSubmit: () => form.onsubmit(event()) };
const suggestions = {};
globalThis.document = { getElementById: (id) => ({ composer: form, suggestions })[id] };
await import('../../../static/chatflow/js/page/early.js');

const event = (fields = {}) => ({ ...fields, preventDefault() { this.defaultPrevented = true; } });

function press(fields) {
  const pressed = event({ key: 'Enter', ...fields });
  message.onkeydown(pressed);
  return Boolean(pressed.defaultPrevented);
}

describe('before the page has begun', () => {
  beforeEach(() => Object.assign(form, { dataset: {} }));

  test('what an Enter sends waits as it stood', () => {
    message.value = ' hello';
    assert.ok(press());
    message.value = ' hello, you';
    assert.equal(form.dataset.early, ' hello');
  });

  test('a new line, and what an input method composes, send nothing', () => {
    message.value = 'hello';
    for (const fields of [{ shiftKey: true }, { isComposing: true }, { key: 'a' }]) assert.ok(!press(fields));
    assert.deepEqual(form.dataset, {});
  });

  test('neither does an empty message, nor one that asks for the list of workflows', () => {
    for (const text of ['', ' \n', '/inv']) {
      message.value = text;
      assert.ok(press());
    }
    assert.deepEqual(form.dataset, {});
  });

  test('the button can be pressed where something was typed, and reloads nothing', () => {
    for (const [text, isOff] of [['hello', false], [' ', true]]) {
      message.value = text;
      message.oninput();
      assert.equal(send.disabled, isOff);
    }
    message.value = 'hello';
    const submitted = event();
    form.onsubmit(submitted);
    assert.ok(submitted.defaultPrevented);
    assert.equal(form.dataset.early, 'hello');
  });

  test('a suggestion that was picked waits too, and the gap between two is none', () => {
    suggestions.onclick({ target: { dataset: {} } });
    assert.deepEqual(form.dataset, {});
    suggestions.onclick({ target: { dataset: { message: 'create invoice' } } });
    assert.equal(form.dataset.early, 'create invoice');
  });
});
