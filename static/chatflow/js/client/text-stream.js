import { ChatError, errorOfAnswer } from './errors.js';
import { parseObject } from './request.js';

const TYPE = 'text/event-stream';
const NO_STREAM = 'The server did not answer with a stream';

/**
 * Read a stream of events as text, to its end; everything but such a stream rejects with a ChatError.
 *
 * @param {string} url
 * @param {object} options `headers`; `signal`; `onText(text)`, called with each piece
 */
export function readText(url, { headers = {}, signal, onText }) {
  const read = canStream() ? readByFetch : readByRequest;
  return read(url, { headers: { ...headers, Accept: TYPE }, signal, onText });
}

// React Native's fetch has no body to read from, but its XMLHttpRequest tells of each piece.
function canStream() {
  return !globalThis.XMLHttpRequest || (globalThis.Response && 'body' in Response.prototype);
}

async function readByFetch(url, { headers, signal, onText }) {
  const response = await fetch(url, { headers, signal, cache: 'no-store' });
  const isStream = response.ok && response.headers.get('Content-Type')?.startsWith(TYPE);
  if (!isStream) throw refusal(response, await response.text());
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onText(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function readByRequest(url, { headers, signal, onText }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let taken = 0;
    const take = () => {
      if (request.status !== 200) return;
      onText(request.responseText.slice(taken));
      taken = request.responseText.length;
    };
    const finish = () => {
      const answer = { ok: request.status === 200, status: request.status, headers: { get: (name) => request.getResponseHeader(name) } };
      if (!answer.ok) return reject(refusal(answer, request.responseText));
      take();
      resolve();
    };
    const abort = () => {
      request.abort();
      reject(signal.reason);
    };
    Object.assign(request, { onprogress: take, onload: finish, onerror: () => reject(new TypeError('Network request failed')) });
    request.open('GET', url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    signal?.addEventListener('abort', abort);
    request.send();
    if (signal?.aborted) abort();
  });
}

function refusal(response, text) {
  const { status } = response;
  return response.ok ? new ChatError(NO_STREAM, { code: 'not_a_stream', status }) : errorOfAnswer(response, parseObject(text));
}
