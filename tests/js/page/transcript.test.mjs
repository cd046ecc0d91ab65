import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { showTranscript } from '../../../static/js/page/transcript.js';
import { installDocument } from '../fakes.mjs';

const CONFIRM = { kind: 'confirm', prompt: 'Sure?' };
let page;

beforeEach(() => {
  page = installDocument(['conversation']);
  document.querySelectorAll = () => [];
});

const shown = () => page.conversation.children.map(({ className, textContent }) => [className.split('--')[1], textContent]);

describe('the transcript', () => {
  test('it works', () => {
    const messages = [
      { role: 'user', content: 'create invoice' },
      { role: 'assistant', content: 'Sure?', awaiting: CONFIRM },
      { role: 'user', content: 'yes' },
      { role: 'assistant', content: 'Again?', awaiting: CONFIRM },
    ];
    showTranscript({ messages, active_job: null, awaiting: CONFIRM }, {});
    // Only the last question can still be answered; an answer reads as its button did.
    const expected = [['user', 'create invoice'], ['assistant', 'Sure?'], ['user', 'Yes'], ['assistant', 'Again?YesNoCancel']];
    assert.deepEqual(shown(), expected);
  });

  test('while a job runs there is nothing to answer', () => {
    showTranscript({ messages: [{ role: 'assistant', content: 'Sure?' }], active_job: { job_id: 'j' }, awaiting: CONFIRM }, {});
    assert.deepEqual(shown(), [['assistant', 'Sure?']]);
  });

  test('the words of an answer that broke off stand above the reason, with a mark', () => {
    const messages = [
      { role: 'user', content: 'a', error: 'Cancelled.', code: 'cancelled' },
      { role: 'assistant', content: 'Once upon', metadata: { workflow: 'chat', broken_off: true } },
      { role: 'user', content: 'b' },
    ];
    showTranscript({ messages }, {});
    const expected = [['user', 'a'], ['assistant', 'Once uponThe answer broke off here.'], ['note', 'Cancelled.'], ['user', 'b']];
    assert.deepEqual(shown(), expected);
  });

  test('a turn that failed says why', () => {
    const messages = [
      { role: 'user', content: 'a', error: 'It broke.', code: 'failed' },
      { role: 'user', content: 'b', error: 'Cancelled.', code: 'cancelled' },
    ];
    showTranscript({ messages }, {});
    assert.deepEqual(shown(), [['user', 'a'], ['error', 'It broke.'], ['user', 'b'], ['note', 'Cancelled.']]);
  });
});
