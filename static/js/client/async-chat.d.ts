/** A machine word says what; the message is one sentence that can be shown. */
export class ChatError extends Error {
  constructor(message: string, details?: Partial<Pick<ChatError, 'code' | 'status' | 'jobId' | 'errors' | 'retryAfter'>> & { cause?: unknown });
  code: string;
  status: number | null;
  jobId: string | null;
  errors: Record<string, string[]> | null;
  /** Seconds. */
  retryAfter: number | null;
}

export interface Awaiting {
  kind: 'text' | 'choice' | 'confirm' | 'form' | 'approval';
  prompt: string;
  optional: boolean;
  choices?: { value: string; label: string }[];
  schema?: Record<string, unknown>;
  approval_id?: string;
  details?: unknown;
  expires_at?: string;
}

export interface Action {
  id: string;
  type: 'link' | 'quick_reply' | 'button' | 'confirm' | 'form';
  label: string;
  [field: string]: unknown;
}

export interface Answer {
  success: true;
  response: string;
  actions: Action[];
  sources: Record<string, unknown>[];
  session_id: string;
  job_id: string;
  awaiting?: Awaiting;
  metadata?: Record<string, unknown>;
}

export interface Frame {
  status: 'connected' | 'processing' | 'completed' | 'failed' | 'timeout';
  type?: string;
  seq?: number;
  job_id?: string;
  progress?: number;
  message?: string;
  delta?: string;
  [field: string]: unknown;
}

export interface Job {
  job_id: string;
  stream_url?: string;
  status_url?: string;
  [field: string]: unknown;
}

export interface Session {
  session_id: string;
  title: string;
  created_at: string;
  updated_at: string;
  pinned: boolean;
  unread: boolean;
  active_job: { job_id: string; state: string; workflow: string } | null;
  awaiting: Awaiting['kind'] | null;
  last_job_id: string | null;
  last_state: string | null;
  excerpt?: string;
}

export interface Message {
  id?: number | string;
  role: 'user' | 'assistant';
  content: string;
  actions: Action[];
  sources: Record<string, unknown>[];
  job_id: string | null;
  created_at: string;
  awaiting?: Awaiting;
  metadata?: Record<string, unknown>;
  [field: string]: unknown;
}

export interface History {
  success: true;
  session_id: string;
  messages: Message[];
  active_job: (Job & { state: string }) | null;
  awaiting: Awaiting | null;
}

export interface Waiting {
  key: string;
  session_id: string;
  message: string;
  options: Record<string, unknown>;
}

export type ConnectionState = 'connected' | 'reconnecting' | 'offline' | 'signed-out' | 'unsupported';

export interface WatchCallbacks {
  onSession?(session: Session & { type: 'session' }): void;
  onDeleted?(sessionId: string): void;
  /** What was missed is too much: load everything anew. */
  onReset?(): void;
  onJob?(frame: Frame, jobId: string): void;
  onConnection?(state: ConnectionState): void;
}

export interface ClientOptions {
  urls?: Record<string, string>;
  /** Whose drafts, outbox and stream these are, where several people use a browser. */
  user?: string;
  /** The address of stream-worker.js; null for no worker. */
  worker?: string | null;
  /** Milliseconds. */
  pollInterval?: number;
  maxFailures?: number;
  /** Milliseconds. */
  quietTimeout?: number;
  /** Milliseconds. */
  reopenDelay?: number;
}

export interface SendOptions {
  async?: boolean | 'auto';
  signal?: AbortSignal;
  idempotencyKey?: string;
  files?: (number | string)[];
  edits?: number | string;
  [option: string]: unknown;
}

export class AsyncChatClient {
  constructor(apiBaseUrl?: string, authToken?: string | null, options?: ClientOptions);
  apiBaseUrl: string;
  authToken: string | null;
  sessionId: string;

  get onProgress(): (callback: ((frame: Frame, jobId: string) => void) | null) => this;
  set onProgress(callback: ((frame: Frame, jobId: string) => void) | null);
  get onDelta(): (callback: ((text: string, frame: Frame, jobId: string) => void) | null) => this;
  set onDelta(callback: ((text: string, frame: Frame, jobId: string) => void) | null);
  get onStart(): (callback: ((job: Job) => void) | null) => this;
  set onStart(callback: ((job: Job) => void) | null);
  get onOutbox(): (callback: ((waiting: Waiting[]) => void) | null) => this;
  set onOutbox(callback: ((waiting: Waiting[]) => void) | null);
  get onSignedOut(): (callback: (() => void) | null) => this;
  set onSignedOut(callback: (() => void) | null);

  getAuthHeaders(): Record<string, string>;
  sendMessage(message: string, options?: SendOptions): Promise<Answer>;
  sendSmart(message: string, options?: SendOptions): Promise<Answer>;
  shouldUseAsync(message: string): boolean;
  handleAsyncResponse(data: Job, options?: { signal?: AbortSignal }): Promise<Answer>;
  resume(job: string | Job, options?: { signal?: AbortSignal }): Promise<Answer>;
  act(actionId: string, options?: SendOptions & { data?: unknown }): Promise<Answer>;
  approve(approvalId: string, decision: { approved: boolean; reason?: string; answer?: unknown; signal?: AbortSignal }): Promise<Answer>;
  approvals(): Promise<{ approvals: Record<string, unknown>[] }>;
  cancel(jobId: string): Promise<Record<string, unknown>>;
  retry(jobId: string, options?: { signal?: AbortSignal }): Promise<Answer>;
  history(sessionId?: string): Promise<History>;
  jobs(): Promise<{ jobs: Record<string, unknown>[]; next: string | null }>;
  disconnect(): void;

  send(message: string, options?: SendOptions & { sessionId?: string }): Promise<Answer>;
  get waiting(): Waiting[];
  flush(): Promise<void>;
  takeBack(key: string): void;
  draft(sessionId?: string): string;
  saveDraft(text: string, sessionId?: string): void;

  sessions(options?: { limit?: number; cursor?: string; q?: string }): Promise<{ sessions: Session[]; next: string | null }>;
  renameSession(sessionId: string, title: string): Promise<Session>;
  pinSession(sessionId: string, pinned?: boolean): Promise<Session>;
  markRead(sessionId?: string): Promise<Session>;
  deleteSession(sessionId: string): Promise<{ session_id: string; jobs: number }>;
  feedback(jobId: string, value: 'up' | 'down' | null, comment?: string): Promise<Record<string, unknown>>;
  upload(
    file: Blob,
    options?: { sessionId?: string; onProgress?: (part: number) => void; signal?: AbortSignal },
  ): Promise<Record<string, unknown>>;
  /** Returns what ends it. */
  watch(callbacks: WatchCallbacks): () => void;
}
