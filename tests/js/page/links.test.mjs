import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { link, safeUrl } from '../../../static/chatflow/js/page/links.js';
import { installDocument } from '../fakes.mjs';

beforeEach(() => {
  installDocument();
});

describe('links', () => {
  test('it works', () => {
    const { href, textContent, target } = link('<b>Open</b>', '/i/1');
    assert.deepEqual([href, textContent, target], ['https://chat.test/i/1', '<b>Open</b>', undefined]);
  });

  test('only http, https and relative addresses are safe', () => {
    for (const url of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'java\tscript:alert(1)', ' javascript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', 'blob:https://chat.test/1']) {
      assert.equal(safeUrl(url), null, url);
    }
    for (const url of ['//evil.example', '/\\evil.example', '\\\\evil.example', '/\t/evil.example', ' //evil.example', 'https:\\evil.example']) {
      assert.equal(safeUrl(url), null, url);
    }
    assert.equal(safeUrl('/a?b#c'), 'https://chat.test/a?b#c');
    assert.equal(safeUrl('http://example.com/'), 'http://example.com/');
  });

  test('an unsafe address leaves the bare label', () => {
    for (const url of ['javascript:alert(1)', undefined, 7]) {
      const { href, textContent } = link('Open', url);
      assert.deepEqual([href, textContent], [undefined, 'Open']);
    }
  });
});
