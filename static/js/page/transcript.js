import { displayFailure, displayMessage, retireReplies } from './messages.js';
import { labelOf } from './questions.js';

/**
 * Show what was said in a session.
 *
 * @param {object} past what the server says of it: `messages`, `active_job`, `awaiting`
 * @param {object} moves see fillMessage()
 */
export function showTranscript({ messages, active_job: activeJob, awaiting }, moves) {
  const open = activeJob ? null : awaiting;
  let failure = null;
  messages.forEach(({ role, content, metadata, actions, sources, error, code }, index) => {
    const isLast = index === messages.length - 1;
    const text = role === 'user' ? labelOf(messages[index - 1]?.awaiting, content) : content;
    if (isLast) retireReplies();
    displayMessage(text, { role, metadata, actions, sources, awaiting: isLast ? open : null, moves });
    if (error) failure = { message: error, code };
    // Below the words that came before it, where some did.
    if (failure && !messages[index + 1]?.metadata?.broken_off) {
      displayFailure(failure);
      failure = null;
    }
  });
}
