import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { messageOf, openQuestion } from '../../../static/chatflow/js/page/past.js';

const asked = (id, jobId, turn) => ({ id, role: 'user', job_id: jobId, ...(turn && { turn }) });
const answer = (id, jobId, retryOf = null) => ({ id, role: 'assistant', job_id: jobId, turn: { job_id: jobId, retry_of: retryOf } });
const found = (messages, jobId) => messageOf(messages, jobId)?.id ?? null;

describe('the message that a job answers', () => {
  test('it works', () => {
    const messages = [asked(1, 'a'), answer(2, 'a'), asked(3, 'b'), answer(4, 'b')];
    assert.deepEqual([found(messages, 'a'), found(messages, 'b'), found(messages, 'c')], [1, 3, null]);
  });

  test('a retry answers the message of the job that it did again', () => {
    const failed = [asked(1, 'a', { job_id: 'a3', retry_of: 'a2' })];
    assert.deepEqual([found(failed, 'a'), found(failed, 'a3')], [1, 1]);
    const answered = [asked(1, 'a'), answer(2, 'a'), answer(3, 'a3', 'a2')];
    assert.equal(found(answered, 'a3'), 1);
  });

  test('what nobody asked for answers none', () => {
    assert.equal(found([asked(1, 'a'), answer(2, 'a'), answer(3, 'b')], 'b'), null);
    assert.equal(found([answer(1, 'a', 'before')], 'a'), null);
  });
});

describe('the question that is open', () => {
  const question = { kind: 'text', prompt: 'Which customer?' };
  const past = { awaiting: question, active_job: null };
  const told = { state: 'completed', answer: { role: 'assistant', content: 'A stream.' } };

  test('it is what the history says, also after a message that was answered by itself', () => {
    assert.equal(openQuestion(past, told), question);
    assert.equal(openQuestion(past, { state: 'cancelled' }), question);
    assert.equal(openQuestion({ ...past, awaiting: null }, { ...told, answer: { role: 'assistant', awaiting: question } }), null);
    assert.equal(openQuestion({ awaiting: null, active_job: null }), null);
  });

  test('what a frame has brought is newer', () => {
    const asked = { state: 'completed', answer: { content: 'How many?', awaiting: { kind: 'text' } } };
    assert.equal(openQuestion(past, asked), asked.answer.awaiting);
    assert.equal(openQuestion(past, { state: 'completed', answer: { content: 'Done.' } }), null);
  });

  test('none is while something runs', () => {
    assert.equal(openQuestion(past, { state: 'processing' }), null);
    assert.equal(openQuestion({ ...past, active_job: { job_id: 'a' } }, told), null);
  });
});
