import { ChatError, errorOfAnswer } from './errors.js';
import { parseObject } from './request.js';

/**
 * Post a form; resolves with the server's answer.
 *
 * @param {string} url
 * @param {FormData} form
 * @param {object} options `headers`; `signal`; `onProgress(part)`, from 0 to 1, where the platform tells
 */
export function postForm(url, form, { headers, signal, onProgress }) {
  return globalThis.XMLHttpRequest ? byRequest(url, form, { headers, signal, onProgress }) : byFetch(url, form, { headers, signal, onProgress });
}

async function byFetch(url, form, { headers, signal, onProgress }) {
  let response, text;
  try {
    response = await fetch(url, { method: 'POST', body: form, headers, signal });
    text = await response.text();
  } catch (cause) {
    throw signal?.aborted ? signal.reason : unreachable(cause);
  }
  onProgress?.(1);
  return answerOf(response, text);
}

function byRequest(url, form, { headers, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    if (request.upload && onProgress) {
      request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    }
    request.onload = () => {
      const { status } = request;
      const response = { ok: status >= 200 && status < 300, status, headers: { get: (name) => request.getResponseHeader(name) } };
      try {
        resolve(answerOf(response, request.responseText));
      } catch (error) {
        reject(error);
      }
    };
    request.onerror = () => reject(unreachable());
    signal?.addEventListener('abort', () => {
      request.abort();
      reject(signal.reason);
    });
    if (signal?.aborted) return reject(signal.reason);
    request.send(form);
    return undefined;
  });
}

function answerOf(response, text) {
  const body = parseObject(text);
  if (!response.ok || body?.success === false || !body) throw errorOfAnswer(response, body);
  return body;
}

const unreachable = (cause) => new ChatError('The server could not be reached', { code: 'network', cause });
