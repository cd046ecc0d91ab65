import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOnlyRead } from '../../../static/js/page/session-news.js';

test('that a conversation was read is no reason to load it anew, and all else is', () => {
  const known = { session_id: 's', title: 'One', active_job: null, unread: true, type: 'session' };
  const read = { type: 'session', session_id: 's', title: 'One', active_job: null, unread: false };
  assert.ok(isOnlyRead(known, read, false));
  assert.ok(isOnlyRead({ ...known, unread: false }, read, true));
  // A thumb in another tab changes nothing of it either, and stands in the history.
  assert.ok(!isOnlyRead({ ...known, unread: false }, read, false));
  assert.ok(!isOnlyRead(known, { ...read, active_job: { job_id: 'a' } }, true));
  assert.ok(!isOnlyRead(known, { ...read, unread: true }, true));
  assert.ok(!isOnlyRead(null, read, true));
});
