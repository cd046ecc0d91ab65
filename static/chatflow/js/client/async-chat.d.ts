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

export interface Step {
  name: string;
  state: 'running' | 'finished' | 'failed' | 'stopped';
  duration_ms: number | null;
}

/** How a message was answered. */
export interface Turn {
  job_id: string;
  retry_of: string | null;
  state: 'queued' | 'processing' | 'completed' | 'failed' | 'timeout' | 'cancelled';
  workflow: string;
  title: string;
  /** More than 1: it was resumed after an interruption. */
  attempts: number;
  queued_at: string;
  started_at: string | null;
  finished_at: string | null;
  duration_ms: number | null;
  queue_ms: number | null;
  steps: Step[];
  model: string | null;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  /** US dollars, where the price is known. */
  cost: number | null;
  error?: string;
  code?: string;
  /** What was streamed before the answer broke off. */
  words?: string;
  feedback: Feedback | null;
  can_retry: boolean;
}

export interface Feedback {
  value: 'up' | 'down' | null;
  comment: string;
}

/** A file as it stands with a message; without id and url once it is deleted. */
export interface MessageFile {
  id: string | null;
  name: string;
  type: string;
  /** Bytes. */
  size: number;
  /** A path of the server. */
  url: string | null;
}

/** What an upload has become. */
export interface Document {
  id: string;
  title: string;
  name: string;
  type: string;
  url: string;
  file_url: string;
  session_id: string | null;
  [field: string]: unknown;
}

export interface Message {
  id?: number;
  role: 'user' | 'assistant';
  content: string;
  actions: Action[];
  sources: Record<string, unknown>[];
  job_id: string | null;
  created_at: string;
  awaiting?: Awaiting;
  metadata?: Record<string, unknown>;
  files?: MessageFile[];
  turn?: Turn;
  error?: string;
  code?: string;
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
  /** The path of the API at the server, /ai-demo/ by default. */
  path?: string;
  urls?: Record<string, string>;
  /** Whose drafts, outbox and stream these are, where several people use a browser. */
  user?: string;
  /** The address of stream-worker.js, or what makes a SharedWorker of it; null for none. */
  worker?: string | (() => { port: unknown }) | null;
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
  /** Ids of documents; the message may then be empty. */
  files?: string[];
  /** The id of the own message that this one takes the place of. */
  edits?: number;
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
  /** A message of an earlier visit was refused; it is kept until there is a callback. */
  get onRefused(): (callback: ((message: Waiting, error: ChatError) => void) | null) => this;
  set onRefused(callback: ((message: Waiting, error: ChatError) => void) | null);
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
  approvals(): Promise<{ approvals: (Record<string, unknown> & { approval_id: string })[] }>;
  cancel(jobId: string): Promise<Record<string, unknown>>;
  retry(jobId: string, options?: { signal?: AbortSignal }): Promise<Answer>;
  history(sessionId?: string): Promise<History>;
  jobs(): Promise<{ jobs: Job[]; next: string | null }>;
  disconnect(): void;

  send(message: string, options?: SendOptions & { sessionId?: string }): Promise<Answer>;
  get waiting(): Waiting[];
  flush(): Promise<void>;
  takeBack(key: string): void;
  draft(sessionId?: string): string;
  saveDraft(text: string, sessionId?: string): void;
  addToDraft(text: string, sessionId?: string): string;

  sessions(options?: { limit?: number; cursor?: string; q?: string }): Promise<{ sessions: Session[]; next: string | null }>;
  renameSession(sessionId: string, title: string): Promise<Session>;
  pinSession(sessionId: string, pinned?: boolean): Promise<Session>;
  markRead(sessionId?: string): Promise<Session>;
  deleteSession(sessionId: string): Promise<{ session_id: string; jobs: number }>;
  feedback(jobId: string, value: 'up' | 'down' | null, comment?: string): Promise<{ feedback: Feedback | null }>;
  upload(
    file: Blob,
    options?: { sessionId?: string; onProgress?: (part: number) => void; signal?: AbortSignal },
  ): Promise<Document>;
  /** Returns what ends it. */
  watch(callbacks: WatchCallbacks): () => void;
}
