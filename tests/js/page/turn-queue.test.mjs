import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { TurnQueue } from '../../../static/js/page/turn-queue.js';
import { installDocument } from '../fakes.mjs';

const IDS = ['cancel', 'composer', 'conversation', 'progress', 'progress-message', 'progress-step', 'progress-percent', 'progress-bar'];
let page;

beforeEach(() => {
  page = installDocument(IDS);
  page.progress.hidden = true;
});

/** A turn whose client notes what is asked of it. */
function turn(message, { jobId = null, activeJob = null } = {}) {
  const done = [];
  const client = {
    disconnect: () => done.push('disconnect'),
    history: async () => ({ active_job: activeJob }),
    cancel: async (id) => done.push(id),
  };
  return { done, client, jobId, progress: { message, percent: 50, step: 'Saving' } };
}

const drawn = () => [page.composer.dataset.running, page.progress.hidden, page['progress-message'].textContent];

describe('the turns', () => {
  test('the first one is shown, and how many wait behind it', () => {
    const turns = new TurnQueue();
    const [first, second] = [turn('Reading'), turn('Writing')];
    turns.add(first);
    assert.deepEqual(drawn(), ['true', false, 'Reading']);
    turns.add(second);
    assert.deepEqual(drawn(), ['true', false, 'Reading · 1 more waiting']);
    turns.remove(first);
    assert.deepEqual([turns.isEmpty, ...drawn()], [false, 'true', false, 'Writing']);
    turns.remove(second);
    assert.deepEqual([turns.isEmpty, page.composer.dataset.running, page.progress.hidden], [true, 'false', true]);
  });

  test('leaving them stops no work', () => {
    const turns = new TurnQueue();
    const both = [turn('a', { jobId: 'j' }), turn('b')];
    both.forEach((each) => turns.add(each));
    turns.leave();
    assert.deepEqual(both.map(({ done }) => done), [['disconnect'], ['disconnect']]);
    assert.deepEqual([turns.isEmpty, page.progress.hidden], [true, true]);
  });

  test('the work of the first one is cancelled', async () => {
    const turns = new TurnQueue();
    const both = [turn('a', { jobId: 'j' }), turn('b', { jobId: 'k' })];
    both.forEach((each) => turns.add(each));
    const cancelling = turns.cancelFirst();
    assert.deepEqual([page.cancel.disabled, page['progress-message'].textContent], [true, 'Cancelling…']);
    await cancelling;
    assert.deepEqual([page.cancel.disabled, ...both.map(({ done }) => done)], [false, ['j'], []]);
  });

  test('a direct send does not know its job: the history does', async () => {
    const turns = new TurnQueue();
    const direct = turn('a', { activeJob: { job_id: 'j' } });
    turns.add(direct);
    await turns.cancelFirst();
    assert.deepEqual(direct.done, ['j']);
  });

  test('a cancel that fails is told', async () => {
    const turns = new TurnQueue();
    const failing = turn('a', { jobId: 'j' });
    failing.client.cancel = async () => {
      throw new Error('No.');
    };
    turns.add(failing);
    await turns.cancelFirst();
    assert.deepEqual([page.cancel.disabled, page.conversation.textContent], [false, 'No.']);
  });
});
