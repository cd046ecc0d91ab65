import { FrameLog, Hub } from './hub.js';
import { webLocks } from './locks.js';
import { newSessionId } from './session-id.js';

/**
 * Take part in the user's one connection: by a SharedWorker, else by the tab that leads the others, else
 * by a connection of this tab's own.
 *
 * @param {object} options `source`: `{url, headers, silence}`; `key`: who shares it; `worker`: the worker's
 *   address, or what makes one; null for none; `onMessage({frame} | {state})`
 * @returns {{wake: () => void, leave: () => void}}
 */
export function joinStream(options) {
  return byWorker(options) ?? byLeader(options) ?? alone(options);
}

/** Null where there are no such workers, or none for a module from this address. */
function byWorker({ key, source, worker, onMessage }) {
  if (!globalThis.SharedWorker || !worker) return null;
  let shared;
  try {
    shared = typeof worker === 'function' ? worker() : new SharedWorker(worker, { type: 'module', name: 'async-chat' });
  } catch {
    return null;
  }
  const { port } = shared;
  const lock = newSessionId();
  let release = () => {};
  let other = null;
  // A worker that can't be loaded says so, and never anything else.
  shared.onerror = () => {
    other ??= byLeader({ key, source, onMessage }) ?? alone({ source, onMessage });
  };
  port.onmessage = ({ data }) => onMessage(data);
  const join = () => port.postMessage({ join: { key, source, lock } });
  // The worker asks for the lock when the tab has it, or it would take the tab for gone.
  const holding = () => {
    join();
    return new Promise((resolve) => (release = resolve));
  };
  const locks = webLocks();
  if (locks) locks.request(lock, holding);
  else join();
  return {
    wake: () => (other ? other.wake() : port.postMessage({ wake: true })),
    leave() {
      other?.leave();
      port.postMessage({ leave: true });
      release();
    },
  };
}

/** The tab that holds the lock has the connection; the others hear of it by a channel. */
function byLeader({ key, source, onMessage }) {
  const locks = webLocks();
  if (!locks || !globalThis.BroadcastChannel) return null;
  const channel = new BroadcastChannel(`async-chat ${key}`);
  const log = new FrameLog();
  const me = newSessionId();
  let hub = null;
  let release = () => {};
  let isOver = false;
  // What is new must not come before what was missed: the leader tells that first.
  let isWelcome = false;
  const take = (message) => {
    if (isOver) return;
    log.take(message);
    onMessage(message);
  };
  const lead = () => {
    if (isOver) return undefined;
    isWelcome = true;
    channel.postMessage({ leads: true });
    hub = new Hub(source, log);
    hub.join((message) => {
      onMessage(message);
      channel.postMessage({ message });
    });
    return new Promise((resolve) => (release = resolve));
  };
  const welcome = (tab) => {
    hub.wake();
    for (const message of log.messages()) channel.postMessage({ message, to: tab });
    channel.postMessage({ welcomes: tab });
  };
  channel.onmessage = ({ data: { message, to, joins, welcomes, leads, wakes } }) => {
    if (message && (to === me || (!to && isWelcome))) take(message);
    if (joins && hub) welcome(joins);
    if (welcomes === me) isWelcome = true;
    if (leads && !isWelcome) channel.postMessage({ joins: me });
    if (wakes) hub?.wake();
  };
  channel.postMessage({ joins: me });
  locks.request(`async-chat ${key}`, lead).catch(() => {});
  return {
    wake: () => (hub ? hub.wake() : channel.postMessage({ wakes: true })),
    leave() {
      isOver = true;
      hub?.close();
      release();
      channel.close();
    },
  };
}

function alone({ source, onMessage }) {
  const hub = new Hub(source);
  hub.join(onMessage);
  return { wake: () => hub.wake(), leave: () => hub.leave(onMessage) };
}
