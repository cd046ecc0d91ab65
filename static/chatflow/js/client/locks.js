/** The browser's Web Locks, which all tabs of a site share; undefined where there are none, or no site of one's own. */
export const webLocks = () => (globalThis.origin === 'null' ? undefined : globalThis.navigator?.locks);

/** Hold a lock until what this returns is called. */
export function hold(locks, name) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  locks.request(name, () => released);
  return release;
}

/** Whether a tab, perhaps this one, holds a lock, or waits for it. */
export async function isTaken(locks, name) {
  const { held, pending } = await locks.query();
  return [...held, ...pending].some((lock) => lock.name === name);
}
