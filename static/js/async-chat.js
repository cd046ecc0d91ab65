// The address of the client, for pages here and elsewhere.
export { AsyncChatClient, ChatError } from '../chatflow/js/async-chat.js';
