import { joinStream } from './shared-stream.js';

/**
 * Take all that happens to the user, each frame once.
 *
 * @param {object} options as for joinStream(), but `onMessage`
 * @param {object} callbacks `onSession(session)`, `onDeleted(sessionId)`, `onReset()`, `onJob(frame, jobId)`,
 *   `onConnection(state)`
 * @returns {() => void} ends it
 */
export function watchStream(options, callbacks) {
  const seen = new Map();
  let isOver = false;
  const call = (name, ...args) => {
    try {
      callbacks[name]?.(...args);
    } catch (error) {
      console.error(error);
    }
  };
  const take = (frame) => {
    const { type, job_id: jobId, seq } = frame;
    if (type === 'session') return call('onSession', frame);
    if (type === 'deleted') return call('onDeleted', frame.session_id);
    if (type === 'reset') return call('onReset');
    if (!jobId || seq <= (seen.get(jobId) ?? 0)) return undefined;
    if (seq) seen.set(jobId, seq);
    return call('onJob', frame, jobId);
  };
  let state = null;
  const onMessage = (message) => {
    if (isOver) return;
    if (message.frame) take(message.frame);
    if (message.state && message.state !== state) call('onConnection', (state = message.state));
  };
  const stream = joinStream({ ...options, onMessage });
  const stopListening = onReturn(() => stream.wake());
  return () => {
    if (isOver) return;
    isOver = true;
    stopListening();
    stream.leave();
  };
}

/** Call `callback` when the network is back, or the page is looked at again. */
export function onReturn(callback) {
  const { document } = globalThis;
  const look = () => document.visibilityState === 'visible' && callback();
  globalThis.addEventListener?.('online', callback);
  document?.addEventListener?.('visibilitychange', look);
  return () => {
    globalThis.removeEventListener?.('online', callback);
    document?.removeEventListener?.('visibilitychange', look);
  };
}
