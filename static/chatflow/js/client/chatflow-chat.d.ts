import type { Awaiting } from './async-chat.js';

/** `<chatflow-chat src token session lang>`: the server's address, a token, the conversation to go on with, and `en` or `de`. */
export class ChatflowChat extends HTMLElement {
  addEventListener(
    type: 'answer',
    listener: (event: CustomEvent<{ response: string; awaiting?: Awaiting }>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'chatflow-chat': ChatflowChat;
  }
}
