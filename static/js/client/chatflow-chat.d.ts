/** `<chatflow-chat src token session>`: the server's address, a token, and the conversation to go on with. */
export class ChatflowChat extends HTMLElement {}

declare global {
  interface HTMLElementTagNameMap {
    'chatflow-chat': ChatflowChat;
  }
}
