/** What was said in a conversation, of the history and of what it doesn't know yet. */

/** The history, and what is `waiting` to be sent. What was sent while it was read may be missing: then it is read anew. */
export async function readPast(client, sessionId) {
  const waiting = () => client.waiting.filter(({ session_id: id }) => id === sessionId);
  const before = waiting();
  const past = await client.history(sessionId);
  const left = waiting();
  const isWhole = before.every(({ key }) => left.some((other) => other.key === key));
  return isWhole ? { ...past, waiting: left } : readPast(client, sessionId);
}

/** The messages of a past, and the answers in `shown` that came since it was read. */
export function joinPast({ messages, waiting }, shown) {
  const answers = shown.filter(({ role, job_id: jobId }) => role === 'assistant' && !isAnswered(messages, jobId));
  return [...messages, ...answers, ...waiting.map(({ message }) => ({ role: 'user', content: message }))];
}

/** The messages with an answer of a job, which may be among them already. */
export const withAnswer = (messages, answer) => (isAnswered(messages, answer.job_id) ? messages : [...messages, answer]);

const isAnswered = (messages, jobId) => messages.some(({ role, job_id: id }) => role === 'assistant' && id === jobId);

/** The question that is open; a message that was answered by itself leaves the one before it open. */
export const openQuestion = (client) => client.history().then(({ awaiting }) => awaiting, () => null);
