import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { afterFrame, isEnded, isStopped, newTurn, ofHistory } from '../../../static/chatflow/js/page/turn-state.js';

const at = (seconds) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString();
const frame = (seq, type, fields = {}) => ({ seq, type, status: 'processing', progress: 0, message: '', updated_at: at(seq), ...fields });
const after = (...frames) => frames.reduce(afterFrame, newTurn('job'));

describe('a turn', () => {
  test('it works', () => {
    const turn = after(
      frame(1, 'started', { attempt: 1 }),
      frame(2, 'step_started', { step: { name: 'Read' }, message: 'Read...' }),
      frame(4, 'step_finished', { step: { name: 'Read' }, progress: 50 }),
      frame(5, 'delta', { delta: 'Hel' }),
      frame(6, 'delta', { delta: 'lo' }),
      frame(7, 'completed', { response: 'Hello.', sources: [], progress: 100 }),
    );
    assert.deepEqual(turn.steps, [{ name: 'Read', state: 'done', milliseconds: 2000 }]);
    assert.deepEqual([turn.state, turn.text, turn.answer.content], ['completed', 'Hello', 'Hello.']);
    assert.ok(isEnded(turn));
  });

  test('a frame counts once, and none after the end', () => {
    const delta = frame(1, 'delta', { delta: 'a' });
    assert.equal(after(delta, delta).text, 'a');
    const turn = after(delta, frame(2, 'failed', { error: 'No.', code: 'failed' }));
    assert.equal(afterFrame(turn, frame(3, 'delta', { delta: 'b' })), turn);
    assert.deepEqual([turn.state, turn.error, turn.text], ['failed', 'No.', 'a']);
  });

  test('while it waits it knows its place', () => {
    const waiting = afterFrame(newTurn('job'), { status: 'processing', queue_position: 3 });
    assert.deepEqual([waiting.state, waiting.queuePosition], ['queued', 3]);
    const begun = afterFrame(waiting, frame(1, 'started'));
    assert.deepEqual([begun.state, begun.queuePosition], ['processing', null]);
  });

  test('another attempt begins the step anew that was under way, and takes words back', () => {
    const turn = after(
      frame(1, 'started', { attempt: 1 }),
      frame(2, 'step_started', { step: { name: 'Write' } }),
      frame(3, 'delta', { delta: '🙂bc' }),
      frame(4, 'started', { attempt: 2 }),
      frame(5, 'restarted', { attempt: 2, text_length: 1 }),
      frame(6, 'step_started', { step: { name: 'Write' } }),
    );
    assert.deepEqual([turn.attempts, turn.text], [2, '🙂']);
    assert.deepEqual(turn.steps.map(({ name, state }) => [name, state]), [['Write', 'running']]);
  });

  test('a step that its failure interrupts is not finished', () => {
    const turn = after(frame(1, 'step_started', { step: { name: 'Save' } }), frame(2, 'timeout', { error: 'x', code: 'timeout' }));
    assert.deepEqual(turn.steps.map(({ state }) => state), ['failed']);
  });

  test('a step of which the history and the stream both tell is shown once', () => {
    const told = { job_id: 'job', state: 'processing', steps: [{ name: 'Read', state: 'finished', duration_ms: 20 }, { name: 'Write', state: 'running', duration_ms: null }] };
    const opened = ofHistory(newTurn('job', 'queued'), told);
    const frames = [
      frame(1, 'started', { attempt: 1 }),
      frame(2, 'step_started', { step: { name: 'Read' } }),
      frame(3, 'step_finished', { step: { name: 'Read' } }),
      frame(4, 'step_started', { step: { name: 'Write' } }),
    ];
    const names = ({ steps }) => steps.map(({ name, state }) => [name, state]);
    const once = [['Read', 'done'], ['Write', 'running']];
    assert.deepEqual(names(frames.reduce(afterFrame, opened)), once);
    // Whenever the history comes.
    for (const count of [1, 2, 3, 4]) {
      const begun = ofHistory(after(...frames.slice(0, count)), told);
      assert.deepEqual(names(frames.slice(count).reduce(afterFrame, begun)), once, count);
    }
  });

  test('the history tells the end, and the stream what runs', () => {
    const told = { job_id: 'job', state: 'processing', attempts: 1, steps: [{ name: 'Read', state: 'done', duration_ms: 20 }] };
    const opened = ofHistory(newTurn('job', 'queued'), told);
    assert.deepEqual([opened.state, opened.steps], ['processing', [{ name: 'Read', state: 'done', milliseconds: 20 }]]);
    const running = after(frame(1, 'delta', { delta: 'a' }));
    assert.equal(ofHistory(running, told).text, 'a');
    const failed = ofHistory(running, { ...told, state: 'failed', words: 'ab', error: 'No.' });
    assert.deepEqual([failed.state, failed.text, failed.error], ['failed', 'ab', 'No.']);
  });

  test('a stopped job that is done again runs, and ends anew', () => {
    const told = { job_id: 'again', retry_of: 'job', state: 'processing', steps: [] };
    const running = ofHistory(newTurn('again', 'queued'), told);
    assert.deepEqual([running.state, isEnded(running), isStopped(running)], ['processing', false, false]);
    assert.ok(!isStopped(afterFrame(running, frame(1, 'completed', { response: 'Done.' }))));
    assert.ok(isStopped(ofHistory(running, { ...told, state: 'cancelled', error: 'Stopped.', code: 'cancelled' })));
  });

  test('what the user stopped is no failure', () => {
    assert.ok(isStopped({ state: 'cancelled' }));
    assert.ok(isStopped({ state: 'failed', code: 'interrupted' }));
    assert.ok(!isStopped({ state: 'failed', code: 'failed' }));
  });
});
