import { ChatError, errorOfAnswer } from './errors.js';

/** Fetch a JSON object; everything but a successful one rejects with a ChatError. */
export async function requestJSON(url, init = {}) {
  let response, text;
  try {
    response = await fetch(url, init);
    text = await response.text();
  } catch (cause) {
    throw init.signal?.aborted ? init.signal.reason : unreachable(cause);
  }
  return bodyOf(response, text);
}

/** The JSON object of an answer; throws a ChatError where it is no successful one. */
export function bodyOf(response, text) {
  const body = parseObject(text);
  if (!response.ok || body?.success === false) throw errorOfAnswer(response, body);
  if (!body) throw new ChatError('The server did not answer in JSON', { code: 'not_json', status: response.status });
  return body;
}

export const unreachable = (cause) => new ChatError('The server could not be reached', { code: 'network', cause });

/** The object that `text` is the JSON of, or null. */
export function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

/** The address of a stream behind what has come of it, if anything has. */
export function withCursor(url, cursor) {
  return cursor ? `${url}${url.includes('?') ? '&' : '?'}last_event_id=${encodeURIComponent(cursor)}` : url;
}

/** The value of a cookie, or an empty string. */
export function cookie(name) {
  const found = globalThis.document?.cookie?.match(new RegExp(`(?:^|;\\s*)${name}=([^;]*)`));
  return found ? decodeURIComponent(found[1]) : '';
}
