/**
 * Whether all that the server tells anew of a conversation is that it was read, which its history doesn't show.
 *
 * @param {object|null} known the conversation as it was told before; null where it wasn't
 * @param {object} told
 * @param {boolean} isReading this page has just said that it was read
 */
export function isOnlyRead(known, told, isReading) {
  if (!known || told.unread || !(known.unread || isReading)) return false;
  const isSame = (name) => name === 'unread' || JSON.stringify(known[name]) === JSON.stringify(told[name]);
  return Object.keys(told).every(isSame);
}
