export function newSessionId() {
  return `session-${globalThis.crypto?.randomUUID?.() ?? randomHex()}`;
}

/** For pages that come over plain http from another machine: they have no randomUUID. */
function randomHex() {
  return Array.from(randomBytes(), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Node 18 and React Native have no crypto. Only its own user gets at a session by its id, so that chance will do. */
function randomBytes() {
  const bytes = new Uint8Array(16);
  return globalThis.crypto?.getRandomValues(bytes) ?? bytes.map(() => Math.random() * 256);
}
