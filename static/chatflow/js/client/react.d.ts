import type { AsyncChatClient, Awaiting, ChatError, ConnectionState, Message } from './async-chat.js';

export interface Chat {
  messages: Partial<Message>[];
  /** The words of the answer that is being written. */
  text: string;
  progress: number | null;
  isBusy: boolean;
  awaiting: Awaiting | null;
  error: ChatError | null;
  connection: ConnectionState | null;
  send(text: string, options?: Record<string, unknown>): Promise<void>;
  cancel(): Promise<unknown> | undefined;
}

export function useChat(client: AsyncChatClient, sessionId?: string): Chat;
