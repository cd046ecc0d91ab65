import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { blocksOf, htmlOf, plain } from '../../../static/chatflow/js/page/markdown.js';

const html = (text) => blocksOf(text).map(htmlOf).join('');

describe('markdown', () => {
  test('it works', () => {
    assert.equal(html('# One\n\n*two*'), '<h1>One</h1>\n<p><em>two</em></p>\n');
    assert.equal(html('<b>x</b>'), '<p>&lt;b&gt;x&lt;/b&gt;</p>\n');
  });

  test('a new line is one, but where an editor has wrapped a long one', () => {
    assert.equal(html('Dear Ada,\nhow are you?'), '<p>Dear Ada,<br>how are you?</p>\n');
    const long = 'word '.repeat(20).trim();
    assert.equal(html(`${long}\nand on`), `<p>${long}\nand on</p>\n`);
    assert.match(html(`- ${long}\n  and on\n- next`), /word\nand on/);
    // Who writes a break as one means it.
    for (const mark of ['  ', '\\']) assert.equal(html(`${long}${mark}\nand on`), `<p>${long}<br>and on</p>\n`);
  });

  test('what it says in one line', () => {
    assert.equal(plain('# How\n\n- **nginx**, `off`\n- [more](https://a.test)\n\n```sh\nls -l\n```'), 'How nginx, off more ls -l');
    assert.equal(plain("…-H 'x' ``` - **nginx** streams"), "…-H 'x' - nginx streams");
    assert.equal(plain('ls -l\n```\n\n- **nginx**\n- *is*\n-'), 'ls -l nginx is');
    assert.equal(plain('…/chat |\n| `.env` | a=b'), '…/chat .env a=b');
    assert.equal(plain('| a | b |\n| - | - |\n| 1 | <b>2</b> |'), 'a b 1 <b>2</b>');
    assert.equal(plain(''), '');
  });

  test('no marks are left of what was cut, or joined to one line', () => {
    for (const [part, said] of [
      ['…text ## Deploying Use **nginx** and **bold that is', '…text Deploying Use nginx and bold that is'],
      ['the end** of it. ~~Not', 'the end of it. Not'],
      ['see [the docs](https://example.com/very/lo', 'see the docs'],
      ['docs](https://a.test) for more', 'docs for more'],
      ['Limits: | name | most | |---|:--:| | `A` | 3 |', 'Limits: name most A 3'],
      ['…then ```sh ls -l ``` and `SEND', '…then ls -l and SEND'],
      ['2**10, a_b__c, 5 * 3, C# and a #1', '2**10, a_b__c, 5 * 3, C# and a #1'],
    ]) assert.equal(plain(part), said);
  });
});
