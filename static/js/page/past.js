/** What can be read off the messages of a history. */

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
