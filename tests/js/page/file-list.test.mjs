import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sizeText } from '../../../static/chatflow/js/page/file-list.js';
import { installDocument } from '../fakes.mjs';

beforeEach(() => {
  installDocument();
});

describe('sizes', () => {
  test('as the server says them', () => {
    const said = [512, 1024, 1536, 1_048_576, 10_485_760, 52_428_800, 1_073_741_824].map(sizeText);
    assert.deepEqual(said, ['512 B', '1 kB', '1.5 kB', '1 MB', '10 MB', '50 MB', '1 GB']);
  });

  test('in the page’s language', () => {
    document.documentElement.lang = 'de';
    assert.equal(sizeText(1_572_864), '1,5 MB');
  });
});
