/** What can be read off a history. */

import { isEnded } from './turn-state.js';

/**
 * The user's message that a job answers; null where there is none. A job that did another one again
 * answers the message which that one was started by.
 *
 * @param {object[]} messages of the history, in its order: an answer stands behind its question
 * @param {string} jobId
 */
export function messageOf(messages, jobId) {
  const isOf = ({ job_id: job, turn }) => job === jobId || turn?.job_id === jobId;
  const index = messages.findIndex(isOf);
  const asked = messages.slice(0, index + 1).findLast(({ role }) => role === 'user');
  if (!asked) return null;
  return isOf(asked) || messages[index].turn?.retry_of ? asked : null;
}

/** Whether a turn's answer has come by a frame, and is in no history yet. */
export const isLive = ({ answer }) => Boolean(answer) && !('role' in answer);

/**
 * The question that is open, or null: what a frame has just asked, else what the history calls open, also where another
 * message was answered meanwhile.
 *
 * @param {object} past the history
 * @param {object} [last] the last turn; see turn-state.js
 */
export function openQuestion({ awaiting, active_job: job }, last) {
  if (last && !isEnded(last)) return null;
  if (last && isLive(last)) return last.answer.awaiting ?? null;
  return (!job && awaiting) || null;
}
