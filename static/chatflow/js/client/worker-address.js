/** Where the SharedWorker is loaded from: a bundler has to be told otherwise. */
export const WORKER = new URL('./stream-worker.js', import.meta.url).href;
