import { gettext } from './words.js';

// What the client says by itself, which is in English there.
const REASONS = {
  network: () => gettext('The server could not be reached'),
  http_error: ({ status }) => gettext('The server answered {status}', { status }),
};

/** Why something failed, in the page's language where the client says it; the server's words stay as they are. */
export const reasonOf = (error) => REASONS[error.code]?.(error) ?? error.message;
