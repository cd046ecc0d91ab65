import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { hideLoadingIndicator, updateLoadingIndicator } from '../../../static/chatflow/js/page/loading-indicator.js';
import { installDocument } from '../fakes.mjs';

const IDS = ['conversation', 'progress', 'progress-message', 'progress-step', 'progress-percent', 'progress-bar'];
let page;

beforeEach(() => {
  page = installDocument(IDS);
});

describe('the loading indicator', () => {
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
