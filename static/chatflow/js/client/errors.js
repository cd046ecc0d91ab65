/** Why a message got no answer. */
export class ChatError extends Error {
  name = 'ChatError';

  /**
   * @param {string} message one sentence that can be shown to the user
   * @param {object} [details]
   * @param {string} [details.code] the machine word: `cancelled`, `timeout`, `network`, …
   * @param {number|null} [details.status] the HTTP status, where an HTTP answer was the reason
   * @param {string|null} [details.jobId] the job that failed, where there was one
   * @param {object|null} [details.errors] what is wrong with which field
   * @param {number|null} [details.retryAfter] seconds to wait before another try
   */
  constructor(message, { code = 'error', status = null, jobId = null, errors = null, retryAfter = null, cause } = {}) {
    super(message, { cause });
    Object.assign(this, { code, status, jobId, errors, retryAfter });
  }
}

/** The error that a `failed` or `timeout` frame stands for. */
export function errorOfFrame(frame) {
  return frame.status === 'timeout'
    ? new ChatError('Request timed out', { code: frame.code || 'timeout' })
    : new ChatError(frame.error || 'Workflow failed', { code: frame.code || 'failed' });
}

/** The error that an HTTP answer stands for; `body` is null where it wasn't a JSON object. */
export function errorOfAnswer(response, body) {
  const timedOut = response.status === 504;
  return new ChatError(timedOut ? 'Request timed out' : body?.error || `The server answered ${response.status}`, {
    code: body?.code || (timedOut ? 'timeout' : 'http_error'),
    status: response.status,
    jobId: body?.job_id ?? null,
    errors: body?.errors ?? null,
    retryAfter: Number(response.headers?.get('Retry-After')) || null,
  });
}
