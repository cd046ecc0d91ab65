import { useCallback, useEffect, useRef, useState } from 'react';
import { joinPast, openQuestion, readPast, withAnswer } from './said.js';

const EMPTY = { messages: [], text: '', progress: null, isBusy: false, awaiting: null, error: null };

/**
 * A conversation as React state: what was said, the words that are being written, and how to go on.
 *
 * @param {AsyncChatClient} client made once, outside of the component
 * @param {string} [sessionId] a conversation to go on with; what runs in it is followed
 */
export function useChat(client, sessionId = client.sessionId) {
  const [state, setState] = useState(EMPTY);
  const [connection, setConnection] = useState(null);
  const jobId = useRef(null);
  const change = useCallback((part) => setState((before) => ({ ...before, ...(typeof part === 'function' ? part(before) : part) })), []);

  const settle = useCallback(async (pending, isAsked) => {
    change({ isBusy: true, text: '', error: null, awaiting: null });
    try {
      const { response, awaiting = isAsked ? await openQuestion(client) : null, ...rest } = await pending;
      change(({ messages }) => ({ messages: withAnswer(messages, { role: 'assistant', content: response, ...rest }), awaiting, text: '' }));
    } catch (error) {
      if (error.code === 'disconnected') return;
      change({ error });
    }
    change({ isBusy: false, progress: null });
  }, [client, change]);

  useEffect(() => {
    let [isOver, isMissing] = [false, false];
    const isLeft = client.waiting.length > 0;
    [client.sessionId, jobId.current] = [sessionId, null];
    client.onStart = (job) => (jobId.current = job.job_id);
    client.onDelta = (text) => change({ text });
    client.onProgress = ({ progress = null }) => change({ progress });
    setState(EMPTY);
    const load = () => readPast(client, sessionId).then((past) => {
      if (isOver) return;
      isMissing = false;
      change((now) => ({ messages: joinPast(past, now.messages), awaiting: past.awaiting, error: null }));
      const { active_job: job } = past;
      if (job && job.job_id !== jobId.current) settle(client.resume(job));
    }, (error) => !isOver && (isMissing = error.status !== 404) && change({ error }));
    Promise.all([load(), client.flush()]).then(() => isLeft && !isOver && load());
    const stop = client.watch({ onConnection: (state) => (setConnection(state), isMissing && state === 'connected' && load()) });
    return () => {
      isOver = true;
      stop();
      client.disconnect();
    };
  }, [client, sessionId, change, settle]);

  const send = useCallback((text, options) => {
    change(({ messages }) => ({ messages: [...messages, { role: 'user', content: text }] }));
    return settle(client.send(text, options), state.awaiting);
  }, [client, change, settle, state.awaiting]);

  return { ...state, connection, send, cancel: () => jobId.current && client.cancel(jobId.current) };
}
