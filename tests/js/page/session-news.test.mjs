import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOnlyRead } from '../../../static/chatflow/js/page/session-news.js';

test('that a conversation was read is no reason to load it anew, and all else is', () => {
  const before = { type: 'session', session_id: 's', title: 'One', active_job: null, unread: true };
  const read = { ...before, unread: false };
  assert.ok(isOnlyRead(before, read));
  // A thumb in another tab changes nothing of it, and stands in the history.
  assert.ok(!isOnlyRead(before, before));
  assert.ok(!isOnlyRead(read, read));
  assert.ok(!isOnlyRead(before, { ...read, active_job: { job_id: 'a' } }));
  assert.ok(!isOnlyRead(null, read));
});
