import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { installDocument } from '../fakes.mjs';

let words;

beforeEach(async () => {
  const page = installDocument(['words']);
  page.words.textContent = JSON.stringify({ Back: 'Zurück', '{count} step': ['{count} Schritt', '{count} Schritte'], 'Hello {name}': 'Hallo {name}' });
  document.documentElement.lang = 'de';
  words = await import(`../../../static/chatflow/js/page/words.js?${Math.random()}`);
});

describe('words', () => {
  test('it works', () => {
    assert.deepEqual([words.gettext('Back'), words.gettext('Send')], ['Zurück', 'Send']);
    assert.equal(words.gettext('Hello {name}', { name: '<b>{x}' }), 'Hallo <b>{x}');
  });

  test('counts', () => {
    assert.equal(words.ngettext('{count} step', '{count} steps', 1), '1 Schritt');
    assert.equal(words.ngettext('{count} step', '{count} steps', 1200), '1.200 Schritte');
    assert.equal(words.ngettext('{count} file', '{count} files', 2), '2 files');
  });

  test('durations', () => {
    const said = [40, 1250, 12_400, 200_000, 3_900_000].map(words.duration);
    assert.deepEqual(said, ['0 s', '1,3 s', '12 s', '3 min 20 s', '1 h 5 min']);
  });
});
