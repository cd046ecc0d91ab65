/**
 * Whether a conversation's frame tells only that it was read, which its history doesn't show.
 *
 * @param {object|null} before the frame before
 * @param {object} frame
 */
export function isOnlyRead(before, frame) {
  return Boolean(before?.unread) && JSON.stringify({ ...before, unread: false }) === JSON.stringify(frame);
}
