import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { look, show } from '../../../static/chatflow/js/development/mistake.js';
import { answer, fakeFetch } from '../fakes.mjs';

const MISTAKE = { place: 'team/workflows.py:27', error: 'SyntaxError: <b>no</b>', text: 'def count(' };

/** A banner with its parts, and how often one was written. */
function makeBanner() {
  const parts = Object.keys(MISTAKE).map((part) => ({
    dataset: { part },
    writes: [],
    set textContent(text) {
      this.writes.push(text);
    },
  }));
  return { hidden: true, dataset: { url: '/chat/mistake' }, querySelectorAll: () => parts, parts };
}

describe('the mistake of an edit', () => {
  test('is shown as text, once, and goes when it is mended', () => {
    const banner = makeBanner();
    show(banner, null);
    assert.equal(banner.hidden, true);
    for (let times = 0; times < 2; times += 1) show(banner, MISTAKE);
    assert.equal(banner.hidden, false);
    assert.deepEqual(banner.parts.map((part) => part.writes), Object.values(MISTAKE).map((text) => ['', text]));
    show(banner, null);
    assert.equal(banner.hidden, true);
  });

  test('is asked for; a server that is just gone changes nothing', async () => {
    const banner = makeBanner();
    const requests = fakeFetch(answer(200, { mistake: MISTAKE }), new TypeError('gone'), answer(503, {}), answer(200, { mistake: null }));
    await look(banner);
    for (let times = 0; times < 2; times += 1) {
      await look(banner);
      assert.equal(banner.hidden, false);
    }
    await look(banner);
    assert.equal(banner.hidden, true);
    assert.deepEqual(requests.map(({ url }) => url), Array(4).fill('/chat/mistake'));
  });
});
