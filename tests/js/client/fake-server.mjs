/** A server on loopback that speaks the contract of chat/stream, and a proxy's faults in between. */

import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

const JSON_TYPE = { 'Content-Type': 'application/json' };

export class FakeServer {
  /** Frames of the user's stream, each with the place as its id. */
  frames = [];
  /** What a send was asked: the parsed bodies, once for each key. */
  sent = [];
  /** All requests: `{method, url, headers, body}`. */
  requests = [];
  /** Open streams. */
  streams = new Set();
  /** `fault(n)`: what becomes of the n-th stream: `{status, body, type, cut, end, delay, twice, swallow}`, or nothing. */
  fault = () => null;
  /** `refuse(request, n)`: the status that the n-th other request is answered with, or nothing; 429 asks for an hour. */
  refuse = () => null;
  /** What was said, in the history of every conversation. */
  past = [];
  /** The job that runs, in the history of every conversation. */
  active = null;
  /** The question that is open, likewise. */
  awaiting = null;
  connections = 0;
  #answers = new Map();
  #server = createServer((request, response) => this.#take(request, response));

  async start() {
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  stop() {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  /** Let frames happen. */
  add(...frames) {
    this.frames.push(...frames);
    for (const stream of this.streams) stream.write(textOf(frames, this.frames.length - frames.length));
  }

  async #take(request, response) {
    const body = await bodyOf(request);
    const { pathname, searchParams } = new URL(request.url, this.url);
    this.requests.push({ method: request.method, url: request.url, headers: request.headers, body });
    if (pathname.includes('stream')) return this.#stream(request, response, searchParams);
    const status = this.refuse(request, this.requests.length);
    if (status === 'drop') return request.socket.destroy();
    const wait = status === 429 ? { 'Retry-After': '3600' } : {};
    if (status) return response.writeHead(status, { ...JSON_TYPE, ...wait }).end(JSON.stringify({ success: false, error: 'No.', code: 'no' }));
    if (pathname.endsWith('/status')) return response.writeHead(200, JSON_TYPE).end(JSON.stringify({ success: true, data: this.#status }));
    if (pathname.endsWith('/documents')) return response.writeHead(201, JSON_TYPE).end(JSON.stringify({ success: true, document: { id: 'd-1' } }));
    if (pathname.endsWith('/send')) return this.#send(request, response, JSON.parse(body));
    return response.writeHead(200, JSON_TYPE).end(JSON.stringify({ success: true, sessions: [], messages: this.past, active_job: this.active, awaiting: this.awaiting, next: null }));
  }

  #send({ headers }, response, message) {
    const key = headers['idempotency-key'];
    if (!this.#answers.has(key)) {
      this.sent.push(message);
      const answer = { success: true, response: `Echo: ${message.message}`, session_id: message.session_id, job_id: `job-${this.sent.length}` };
      this.#answers.set(key, JSON.stringify(answer));
    }
    if (this.loseAnswers-- > 0) return response.socket.destroy();
    return response.writeHead(200, JSON_TYPE).end(this.#answers.get(key));
  }

  async #stream(request, response, parameters) {
    this.connections += 1;
    const fault = this.fault(this.connections) ?? {};
    if (fault.status) return response.writeHead(fault.status, { 'Content-Type': fault.type ?? 'application/json' }).end(fault.body ?? '{}');
    const cursor = Number(request.headers['last-event-id'] ?? parameters.get('last_event_id') ?? 0);
    const from = fault.twice ? Math.max(0, cursor - fault.twice) : cursor;
    const text = Buffer.from(`retry: 1000\ndata: ${JSON.stringify({ status: 'connected', type: 'connected', cursor: String(cursor) })}\n\n${textOf(this.frames.slice(from), from)}`);
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.flushHeaders();
    const bytes = text.subarray(0, fault.swallow ? 0 : (fault.cut ?? text.length));
    for (const part of fault.delay ? parts(bytes, fault.delay) : [bytes]) {
      response.write(part);
      if (fault.delay) await pause(0);
    }
    if (fault.end) return response.end();
    if (fault.cut !== undefined) return setImmediate(() => response.socket?.destroy());
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
    return undefined;
  }

  /** What the status of a job says whose frames are these. */
  get #status() {
    const { seq, ...last } = this.frames.at(-1);
    return { ...last, last_event_id: seq };
  }

  /** Bytes of a stream from its beginning. */
  get length() {
    const greeting = `retry: 1000\ndata: ${JSON.stringify({ status: 'connected', type: 'connected', cursor: '0' })}\n\n`;
    return Buffer.byteLength(greeting + textOf(this.frames, 0));
  }
}

/** The frames of a job that says `words`. */
export function jobOf(words, id = 'workflow_abc') {
  const events = [...words.map((delta) => ({ status: 'processing', type: 'delta', delta })), { status: 'completed', type: 'completed', response: words.join('') }];
  return events.map((event, index) => ({ ...event, job_id: id, seq: index + 1 }));
}

const textOf = (frames, from) => frames.map((frame, index) => `id: ${from + index + 1}\ndata: ${JSON.stringify(frame)}\n\n`).join('');

function* parts(bytes, size) {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
