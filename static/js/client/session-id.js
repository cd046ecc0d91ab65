export function newSessionId() {
  return `session-${crypto.randomUUID?.() ?? randomHex()}`;
}

/** For pages that come over plain http from another machine: they have no randomUUID. */
function randomHex() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
