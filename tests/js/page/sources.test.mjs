import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sourceList } from '../../../static/chatflow/js/page/sources.js';
import { installDocument } from '../fakes.mjs';

beforeEach(() => {
  installDocument();
});

describe('sources', () => {
  test('linked where the address is safe; all else is text', () => {
    const list = sourceList([
      { id: 1, title: 'Prices', url: 'https://example.com/', relevance: 87.4, content_preview: '<b>9</b>' },
      { title: 'Evil', url: 'javascript:alert(1)' },
    ]);
    assert.deepEqual(list.all('a').map(({ textContent }) => textContent), ['Prices']);
    assert.deepEqual(list.all('li').map(({ textContent }) => textContent), ['Prices 87\u00a0%<b>9</b>', 'Evil']);
    assert.equal(list.all('summary')[0].textContent, '2 sources');
    assert.equal(list.all('b').length, 0);
    assert.equal(sourceList([]), null);
  });
});
