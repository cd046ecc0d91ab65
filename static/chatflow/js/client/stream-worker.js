// The SharedWorker that holds the connection for all tabs; those of another user have one of their own in it.
import { Hub } from './hub.js';

const hubs = new Map();

globalThis.onconnect = ({ ports: [port] }) => {
  const tab = new Tab(port);
  port.onmessage = ({ data }) => tab.take(data);
};

class Tab {
  #port;
  #key = null;
  #send = (message) => this.#port.postMessage(message);

  constructor(port) {
    this.#port = port;
  }

  take({ join, wake, leave }) {
    if (join) this.#join(join);
    if (wake) hubs.get(this.#key)?.wake();
    if (leave) this.#leave();
  }

  #join({ key, source, lock }) {
    this.#key = key;
    if (!hubs.has(key)) hubs.set(key, new Hub(source));
    hubs.get(key).join(this.#send);
    // Held by the tab for as long as it lives: whoever gets it knows that the tab is gone.
    navigator.locks?.request(lock, () => this.#leave());
  }

  #leave() {
    hubs.get(this.#key)?.leave(this.#send);
    this.#port.close();
  }
}
