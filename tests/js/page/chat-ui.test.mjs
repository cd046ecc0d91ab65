import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { displayError, displayMessage, fillMessage, hideLoadingIndicator, updateLoadingIndicator } from '../../../static/js/page/chat-ui.js';
import { formatText, safeUrl } from '../../../static/js/page/format.js';
import { labelOf, questionBar } from '../../../static/js/page/replies.js';
import { installDocument } from '../fakes.mjs';

const IDS = ['conversation', 'progress', 'progress-message', 'progress-step', 'progress-percent', 'progress-bar'];
let page;

beforeEach(() => {
  page = installDocument(IDS);
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
    for (const url of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'java\tscript:alert(1)', ' javascript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', 'blob:https://chat.test/1']) {
      assert.equal(safeUrl(url), null, url);
    }
    assert.equal(safeUrl('/a?b#c'), 'https://chat.test/a?b#c');
    assert.equal(safeUrl('http://example.com/'), 'http://example.com/');
    const text = formatText('[click](javascript:alert(1)) [data](data:text/html,x)');
    assert.equal(text.all('a').length, 0);
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

describe('the progress', () => {
  test('it works', () => {
    page.progress.hidden = true;
    updateLoadingIndicator('Processing step 2 of 4...', 50, 'Saving');
    assert.equal(page.progress.hidden, false);
    assert.equal(page['progress-message'].textContent, 'Processing step 2 of 4...');
    assert.equal(page['progress-step'].textContent, 'Saving');
    assert.equal(page['progress-percent'].textContent, '50 %');
    assert.equal(page['progress-bar'].value, 50);
    hideLoadingIndicator();
    assert.equal(page.progress.hidden, true);
  });

  test('without a number it shows that something goes on', () => {
    updateLoadingIndicator('x', 50);
    updateLoadingIndicator('', undefined);
    assert.equal(page['progress-bar'].value, undefined);
    assert.equal(page['progress-message'].textContent, 'Working…');
  });
});

describe('messages', () => {
  test('it works', () => {
    const article = displayMessage('Hello\n<b>you</b>', { role: 'user' });
    assert.deepEqual(page.conversation.children, [article]);
    assert.equal(article.className, 'message message--user');
    assert.equal(article.textContent, 'Hello\n<b>you</b>');
    assert.equal(article.all('b').length, 0);
  });

  test('an empty one waits out of sight for its words', () => {
    const article = displayMessage('');
    assert.equal(article.hidden, true);
    fillMessage(article, { text: 'Some', busy: true });
    assert.equal(article.hidden, false);
    assert.equal(article.attributes['aria-busy'], 'true');
    fillMessage(article, { text: 'Some words' });
    assert.equal(article.attributes['aria-busy'], 'false');
    assert.equal(article.textContent, 'Some words');
  });

  test('errors are announced, from a string or an Error', () => {
    assert.equal(displayError('No.').attributes.role, 'alert');
    assert.equal(displayError(new Error('<i>No.</i>')).textContent, '<i>No.</i>');
  });

  test('an error can offer what to do', () => {
    let clicks = 0;
    const article = displayError('No.', { label: 'Try again', onClick: () => { clicks += 1; } });
    article.all('button')[0].onclick();
    assert.deepEqual([clicks, article.removed], [1, true]);
  });
});

describe('replies', () => {
  const buttons = (awaiting) => questionBar(awaiting, {}).all('button').map((node) => [node.value, node.textContent]);
  const CANCEL = ['cancel', 'Cancel'];

  test('choices send their value', () => {
    const sent = [];
    const awaiting = { kind: 'choice', prompt: 'Which?', choices: [{ value: 1, label: 'Acme <b>' }, { value: 'new', label: 'New' }] };
    const bar = questionBar(awaiting, { reply: (...reply) => sent.push(reply) });
    bar.all('button')[0].onclick();
    assert.deepEqual(sent, [['1', 'Acme <b>']]);
    assert.equal(bar.attributes['aria-label'], 'Which?');
    assert.equal(labelOf(awaiting, '1'), 'Acme <b>');
    assert.equal(labelOf(awaiting, 'else'), 'else');
    assert.equal(labelOf(undefined, 'yes'), 'yes');
  });

  test('confirm, approval, optional and plain questions', () => {
    assert.deepEqual(buttons({ kind: 'confirm' }), [['yes', 'Yes'], ['no', 'No'], CANCEL]);
    assert.deepEqual(buttons({ kind: 'approval' }), [['yes', 'Yes'], ['no', 'No'], CANCEL]);
    assert.deepEqual(buttons({ kind: 'text', optional: true }), [['skip', 'Skip'], CANCEL]);
    assert.deepEqual(buttons({ kind: 'form' }), [CANCEL]);
    assert.equal(labelOf({ kind: 'confirm' }, 'yes'), 'Yes');
    assert.equal(questionBar(null, {}), null);
  });
});
