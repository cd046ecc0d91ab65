/** When the page's work begins: nobody waits for it, and it holds up nothing that is seen. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { afterFirstPaint } from '../../../static/chatflow/js/page/first-paint.js';

let page, paint, begun;

function open({ hidden = false } = {}) {
  globalThis.document = { hidden };
  afterFirstPaint(() => begun.push('begun'));
}

describe('the page begins', () => {
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    page = new EventTarget();
    begun = [];
    globalThis.addEventListener = page.addEventListener.bind(page);
    globalThis.PerformanceObserver = class {
      constructor(callback) {
        paint = callback;
      }

      observe(options) {
        assert.deepEqual(options, { type: 'paint', buffered: true });
      }
    };
  });

  afterEach(() => mock.timers.reset());

  test('when it has been painted, once', () => {
    open();
    assert.deepEqual(begun, []);
    paint();
    paint();
    page.dispatchEvent(new Event('keydown'));
    mock.timers.tick(60_000);
    assert.deepEqual(begun, ['begun']);
  });

  test('at once where nobody looks, who would wait for a paint for ever', () => {
    open({ hidden: true });
    assert.deepEqual(begun, ['begun']);
  });

  test('when it goes out of sight before it was painted', () => {
    open();
    page.dispatchEvent(new Event('visibilitychange'));
    assert.deepEqual(begun, ['begun']);
  });

  for (const sign of ['keydown', 'pointerdown', 'click', 'input', 'dragenter']) {
    test(`with the first ${sign}, which whoever listens by then gets to know of`, () => {
      open();
      page.addEventListener(sign, () => begun.push('took it'));
      page.dispatchEvent(new Event(sign));
      assert.deepEqual(begun, ['begun', 'took it']);
    });
  }

  test('after a moment in a browser that tells of no paint', () => {
    open();
    mock.timers.tick(500);
    assert.deepEqual(begun, ['begun']);
  });
});
