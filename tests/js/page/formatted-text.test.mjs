import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { formatText } from '../../../static/js/page/formatted-text.js';
import { installDocument } from '../fakes.mjs';

beforeEach(() => {
  installDocument();
});

describe('formatted text', () => {
  test('it works', () => {
    const text = formatText('Invoice **INV-1** is [here](/i/1), see https://example.com/a.\nBye');
    assert.equal(text.textContent, 'Invoice INV-1 is here, see https://example.com/a.\nBye');
    assert.deepEqual(text.all('strong').map((node) => node.textContent), ['INV-1']);
    assert.deepEqual(text.all('a').map((node) => node.href), ['https://chat.test/i/1', 'https://example.com/a']);
  });

  test('code is left as it is', () => {
    const text = formatText('Set `a **b**`:\n\n```nginx\nproxy "[x](/y)";\n\n  gzip off;\n```\nThen\n  ```\nhalf');
    assert.deepEqual(text.all('code').map((node) => node.textContent), ['a **b**']);
    assert.deepEqual(text.all('pre').map((node) => node.textContent), ['proxy "[x](/y)";\n\n  gzip off;', 'half']);
    assert.equal(text.all('a').length + text.all('strong').length, 0);
    assert.ok(text.textContent.includes('Then\n'));
  });

  test('a link that was relative to its document leads nowhere', () => {
    const text = formatText('[conf](../deploy/nginx.conf) [page](page.md) [own](/x)');
    assert.deepEqual(text.all('a').map((node) => node.href), ['https://chat.test/x']);
    assert.equal(text.textContent, 'conf page own');
  });

  test('markup stays text', () => {
    const markup = '<img src=x onerror=alert(1)><script>alert(1)</script>';
    const text = formatText(markup);
    assert.deepEqual(text.children, [markup]);
  });

  test('a label is no place for markup either', () => {
    const [anchor] = formatText('[<b>x</b>](https://example.com)').all('a');
    assert.equal(anchor.textContent, '<b>x</b>');
    assert.deepEqual(anchor.children, ['<b>x</b>']);
  });

  test('only http, https and relative addresses become links', () => {
    const text = formatText('[click](javascript:alert(1)) [data](data:text/html,x)');
    assert.equal(text.all('a').length, 0);
  });

  test('a path never leads to another site', () => {
    const text = formatText('[a](//evil.example) [b](/\\evil.example) [c](///evil.example) [d](https:/\\evil.example)');
    assert.equal(text.all('a').length, 0);
    assert.equal(text.textContent, 'a b c d');
  });

  test('links to other sites open apart and tell them nothing', () => {
    const [own, other] = formatText('[a](/x) [b](https://example.com/)').all('a');
    assert.equal(own.target, undefined);
    assert.deepEqual([other.target, other.rel], ['_blank', 'noopener noreferrer']);
  });

  test('long hostile text is formatted quickly', () => {
    const begun = performance.now();
    for (const part of ['[', '**', '[a](', 'https://', '**a', '](', '`', '\n```\n', '```a\n', '\n```']) formatText(part.repeat(50_000));
    assert.ok(performance.now() - begun < 2000);
  });
});
