import { bodyOf, requestJSON, unreachable } from './request.js';

/**
 * Post a form; resolves with the server's answer.
 *
 * @param {string} url
 * @param {FormData} form
 * @param {object} options `headers`; `signal`; `onProgress(part)`, from 0 to 1, where the platform tells
 */
export function postForm(url, form, options) {
  return globalThis.XMLHttpRequest ? byRequest(url, form, options) : byFetch(url, form, options);
}

async function byFetch(url, body, { headers, signal, onProgress }) {
  const answer = await requestJSON(url, { method: 'POST', body, headers, signal });
  onProgress?.(1);
  return answer;
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
        resolve(bodyOf(response, request.responseText));
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
