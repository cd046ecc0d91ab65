/** What the scrubber of a job's page shows of a stream at any moment. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Replay, clockOf, placeOf } from '../../../static/chatflow/js/operations/replay.js';

const frame = (seq, type, more = {}) => ({ seq, type, at: seq * 100, progress: 0, message: '', updated_at: '2026-11-30T12:00:00Z', ...more });

const FRAMES = [
  frame(1, 'started', { attempt: 1 }),
  frame(2, 'step_started', { step: { name: 'Look' }, message: 'Look...' }),
  frame(3, 'step_finished', { step: { name: 'Look' }, progress: 50 }),
  frame(4, 'delta', { delta: 'Hello 👋 ' }),
  frame(5, 'delta', { delta: 'wrong' }),
  frame(6, 'restarted', { attempt: 1, text_length: 8 }),
  frame(7, 'completed', { response: 'Hello 👋 Ann', progress: 100, message: 'Completed' }),
];

describe('a replay', () => {
  const replay = new Replay();
  replay.add(FRAMES);

  test('shows what stood on the screen then', () => {
    assert.equal(replay.turnAt(0).state, 'queued');
    assert.deepEqual(replay.turnAt(250).steps.map(({ state }) => state), ['running']);
    assert.equal(replay.turnAt(250).message, 'Look...');
    assert.deepEqual(replay.turnAt(300).steps.map(({ state }) => state), ['done']);
    assert.equal(replay.turnAt(599).text, 'Hello 👋 wrong');
    assert.equal(replay.turnAt(600).text, 'Hello 👋 ');
    assert.equal(replay.turnAt(10_000).answer.content, 'Hello 👋 Ann');
    assert.equal(replay.turnAt(699).answer, undefined);
  });

  test('takes each frame in once, and has a length', () => {
    replay.add(FRAMES.slice(4));
    assert.equal(replay.frames.length, 7);
    assert.deepEqual([replay.last, replay.length], [7, 700]);
  });

  test('finds a moment of a long stream, in any order', () => {
    const long = new Replay();
    long.add([frame(1, 'started'), ...Array.from({ length: 5000 }, (_, index) => frame(index + 2, 'delta', { delta: 'x' }))]);
    for (const at of [500_000, 100, 250_000, 12_345]) {
      assert.equal(long.turnAt(at).text.length, Math.min(5000, Math.floor(at / 100) - 1));
    }
    long.add([frame(5002, 'completed', { response: 'y' })]);
    assert.equal(long.turnAt(600_000).answer.content, 'y');
  });

  test('tells a moment as people read it', () => {
    assert.deepEqual([31, 1234, 61_000].map(clockOf), ['31 ms', '1.2 s', '1 min 1 s']);
  });

  test('finds the place of a moment, also where a long wait is drawn shorter', () => {
    const marks = '0:0 9000:250 12000:1000';
    assert.deepEqual([0, 4500, 9000, 10_000, 99_000].map((at) => placeOf(at, marks)), [0, 125, 250, 500, 1000]);
  });
});
