/** The answer that a send resolves with, of the server's words for it: a sync answer or a last frame. */
export function answerOf(data, jobId, ownSession) {
  const { response, actions, sources, session_id = ownSession, awaiting, metadata } = data;
  const offered = { actions: actions ?? [], sources: sources ?? [] };
  const answer = { success: true, response, ...offered, session_id, job_id: jobId };
  return Object.assign(answer, awaiting && { awaiting }, metadata && { metadata });
}
