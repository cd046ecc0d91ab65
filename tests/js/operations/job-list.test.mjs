import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { joinCopying, joinSelection } from '../../../static/chatflow/js/operations/job-list.js';

/** An element that somebody can click. */
class Part {
  constructor(values = {}) {
    Object.assign(this, { hidden: true, heard: {}, ...values });
  }

  addEventListener(type, listener) {
    this.heard[type] = listener;
  }
}

let all, count, boxes, copy, page;

beforeEach(() => {
  [all, count, copy] = [new Part(), new Part(), new Part()];
  boxes = [new Part({ checked: false }), new Part({ checked: true })];
  const parts = { '[data-jl-all]': all, '[data-jl-count]': count, '[data-jl-copy]': copy, '#jl-link': { value: 'http://a.test/?q=x' } };
  page = { querySelector: (selector) => parts[selector] ?? null, querySelectorAll: () => boxes };
});

test('the box at the head selects the whole page, and the count says how many are selected', () => {
  joinSelection(page);
  assert.equal(all.hidden, false);
  assert.deepEqual([all.checked, all.indeterminate, count.textContent], [false, true, '(1)']);
  all.checked = true;
  all.heard.change();
  assert.deepEqual(boxes.map((box) => box.checked), [true, true]);
  assert.deepEqual([all.indeterminate, count.textContent], [false, '(2)']);
  for (const box of boxes) box.checked = false;
  boxes[0].heard.change();
  assert.deepEqual([all.checked, all.indeterminate, count.textContent], [false, false, '']);
});

test('who may do nothing with jobs has no boxes', () => {
  joinSelection({ querySelector: () => null, querySelectorAll: () => [] });
});

test('the address is copied, where a page may copy', async () => {
  const copied = [];
  joinCopying(page, undefined);
  assert.equal(copy.hidden, true);
  joinCopying(page, { writeText: async (text) => copied.push(text) });
  assert.equal(copy.hidden, false);
  await copy.heard.click();
  assert.deepEqual([copied, copy.textContent], [['http://a.test/?q=x'], 'Copied']);
});
