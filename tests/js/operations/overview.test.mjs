import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { follow, partsOf } from '../../../static/chatflow/js/operations/overview.js';

/** A part of the page that has nothing to keep. */
class Part {
  constructor(id, innerHTML) {
    Object.assign(this, { id, innerHTML, writes: 0 });
  }

  querySelectorAll() {
    return [];
  }

  contains() {
    return false;
  }
}

let parts, overview, state, source, polls;

beforeEach(() => {
  globalThis.document = { activeElement: null };
  parts = { 'overview-queues': new Part('overview-queues', 'old'), 'overview-workers': new Part('overview-workers', 'old') };
  overview = { dataset: { stream: '/stream?over=hour' }, querySelector: (selector) => parts[selector.slice(1)] ?? null };
  state = { textContent: '' };
  polls = [];
  source = { readyState: 1 };
  const open = (url) => Object.assign(source, { url });
  follow(overview, state, { open, poll: (work) => polls.push(work) });
});

const say = (data) => source.onmessage({ data: JSON.stringify(data) });

test('the parts that a frame has are replaced, and no others', () => {
  assert.equal(source.url, '/stream?over=hour');
  say({ type: 'connected' });
  say({ type: 'overview', parts: { queues: '<b>new</b>', unknown: 'x' } });
  assert.equal(parts['overview-queues'].innerHTML, '<b>new</b>');
  assert.equal(parts['overview-workers'].innerHTML, 'old');
  assert.equal(state.textContent, 'Live');
});

test('a stream that broke off is left to the browser, and one that was refused makes the page look by itself', () => {
  source.readyState = 0;
  source.onerror();
  assert.match(state.textContent, /trying again/);
  assert.equal(polls.length, 0);
  source.readyState = 2;
  source.onerror();
  source.onerror();
  assert.equal(polls.length, 1);
});

test('a page that was fetched gives its parts; another page, as where one signs in, none', () => {
  const page = (has) => ({ querySelector: () => has, querySelectorAll: () => Object.values(parts) });
  assert.deepEqual(partsOf(page({})), { queues: 'old', workers: 'old' });
  assert.equal(partsOf(page(null)), null);
});
