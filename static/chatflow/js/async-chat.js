// The address of the client, for pages here and elsewhere; all that it consists of is in client/.
export { AsyncChatClient, ChatError } from './client/async-chat.js';
