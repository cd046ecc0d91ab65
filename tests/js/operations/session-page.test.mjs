import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { Live } from '../../../static/chatflow/js/operations/session-page.js';

let page, fresh, looks, sources;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  page = { dataset: { job: '7', stream: '/stream?token=a', after: '3' } };
  fresh = { dataset: { job: '7', stream: '/stream?token=b', after: '4' } };
  [looks, sources] = [0, []];
  const open = (url) => {
    const source = { url, close: () => (source.isClosed = true) };
    sources.push(source);
    return source;
  };
  const read = async () => {
    looks += 1;
    return fresh;
  };
  new Live(page, { open, read, show: (old, { dataset }) => (old.dataset = dataset) }).follow();
});

async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await new Promise(setImmediate);
}

test('what its stream says brings the page anew, but not more often than each second', async () => {
  assert.equal(sources[0].url, '/stream?token=a&last_event_id=3');
  for (let count = 0; count < 5; count += 1) sources[0].onmessage({});
  await pass(999);
  assert.equal(looks, 0);
  await pass(1);
  assert.equal(looks, 1);
  sources[0].onmessage({});
  await pass(1000);
  assert.equal(looks, 2);
  // A newer link to the same stream opens no second one.
  assert.equal(sources.length, 1);
});

test('the next job is followed, and after the last one the page is looked at less often', async () => {
  fresh = { dataset: { job: '8', stream: '/next?token=a', after: '0' } };
  await pass(2000);
  assert.equal(sources[0].isClosed, true);
  assert.equal(sources[1].url, '/next?token=a&last_event_id=0');
  fresh = { dataset: { job: '', stream: '', after: '0' } };
  await pass(2000);
  assert.equal(sources[1].isClosed, true);
  await pass(9999);
  assert.equal(looks, 2);
  await pass(1);
  assert.equal(looks, 3);
});

test('without a stream it looks every two seconds', async () => {
  sources[0].onerror();
  await pass(2000);
  await pass(2000);
  assert.deepEqual([looks, sources.length], [2, 1]);
});
