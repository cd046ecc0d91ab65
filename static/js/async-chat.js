/** The client's address, which people's pages import; all of it is in `client/`. */
export { AsyncChatClient, ChatError } from './client/async-chat.js';
