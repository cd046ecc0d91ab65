import { ChatError } from './errors.js';
import { requestJSON } from './request.js';

const TERMINAL = new Set(['completed', 'failed', 'timeout']);
const TRANSIENT = new Set([408, 425, 429]);

export const isTerminal = (frame) => TERMINAL.has(frame?.status);

/** Read a job's status once. */
export async function readStatus(url, { signal, headers }) {
  const { data } = await requestJSON(url, { signal, headers: headers(), cache: 'no-store' });
  if (!data?.status) throw new ChatError('The status could not be read', { code: 'not_json' });
  return data;
}

/**
 * Ask for a job's status until it has ended; resolves with the last one.
 *
 * A refusal (no such job, no right to see it) rejects with the server's sentence at once, other
 * failures after `maxFailures` in a row with "SSE connection failed".
 */
export async function pollStatus(url, { signal, onFrame, headers, pollInterval, maxFailures }) {
  for (let failures = 0; ; ) {
    let pause = pollInterval;
    try {
      const data = await readStatus(url, { signal, headers });
      failures = 0;
      onFrame(data);
      if (isTerminal(data)) return data;
    } catch (error) {
      if (signal.aborted || isRefusal(error)) throw error;
      failures += 1;
      if (failures >= maxFailures) {
        throw new ChatError('SSE connection failed', { code: 'connection_failed', status: error.status, cause: error });
      }
      pause = Math.max(pause, (error.retryAfter ?? 0) * 1000);
    }
    await sleep(pause, signal);
  }
}

/** Whether another try would be answered alike. */
export const isRefusal = ({ status }) => status >= 400 && status < 500 && !TRANSIENT.has(status);

function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      signal.aborted ? reject(signal.reason) : resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal.addEventListener('abort', wake);
    if (signal.aborted) wake();
  });
}
