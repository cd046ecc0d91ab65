/** What is known of a turn while it runs and afterwards: of a frame of its job, or of the history. No nodes here. */

const ENDED = new Set(['completed', 'failed', 'timeout', 'cancelled']);
// What the user stopped is no error.
const STOPPED = new Set(['cancelled', 'interrupted']);

export const isEnded = ({ state }) => ENDED.has(state);
export const isStopped = ({ code, state }) => state === 'cancelled' || STOPPED.has(code);

/** A turn of which nothing is known yet, but perhaps its job. */
export function newTurn(jobId = null, state = 'sending') {
  return { jobId, state, seq: 0, message: '', progress: 0, steps: [], text: '', queuePosition: null, attempts: 1 };
}

/** The turn after another frame of its job's stream; a frame that came before changes nothing. */
export function afterFrame(turn, frame) {
  const { seq, type, status, queue_position: queuePosition } = frame;
  if (type === 'connected' || status === 'connected' || isEnded(turn)) return turn;
  if (!seq) return queuePosition ? { ...turn, state: 'queued', queuePosition } : turn;
  if (seq <= turn.seq) return turn;
  // Its first frame: the stream tells of every step, also of those that the history has told of.
  const known = turn.seq ? turn : { ...turn, steps: [] };
  const next = { ...known, seq, progress: frame.progress ?? turn.progress, message: frame.message || turn.message };
  return (CHANGES[type] ?? ((same) => same))(working(next, frame), frame);
}

/** The turn as the history tells it. */
export function ofHistory(turn, told) {
  const steps = (told.steps ?? []).map(({ name, state, duration_ms: milliseconds }) => ({ name, state, milliseconds }));
  const isOver = ENDED.has(told.state);
  return {
    ...turn,
    ...told,
    jobId: told.job_id,
    // While it runs, its stream knows more.
    state: isOver || turn.seq === 0 ? told.state : turn.state,
    steps: isOver || turn.seq === 0 ? steps : turn.steps,
    text: isOver ? (told.words ?? '') : turn.text,
    attempts: Math.max(turn.attempts, told.attempts ?? 1),
  };
}

function working(turn, { updated_at: at }) {
  const state = turn.state === 'sending' || turn.state === 'queued' ? 'processing' : turn.state;
  return { ...turn, state, queuePosition: null, at: Date.parse(at) };
}

const CHANGES = {
  started: (turn, { attempt }) => ({
    ...turn,
    attempts: Math.max(turn.attempts, attempt ?? 1),
    // What was being done when the attempt before ended begins anew.
    steps: turn.steps.filter(({ state }) => state !== 'running'),
  }),
  step_started: (turn, { step }) => {
    const begun = { name: step.name, state: 'running', since: turn.at };
    return { ...turn, steps: [...turn.steps.filter(({ state, name }) => state !== 'running' || name !== step.name), begun] };
  },
  step_finished: (turn, { step }) => {
    const index = turn.steps.findLastIndex(({ name, state }) => name === step.name && state === 'running');
    const { since = turn.at } = turn.steps[index] ?? {};
    const done = { name: step.name, state: 'done', milliseconds: Math.max(0, turn.at - since) };
    return { ...turn, steps: index < 0 ? [...turn.steps, done] : turn.steps.with(index, done) };
  },
  delta: (turn, { delta }) => ({ ...turn, text: turn.text + delta }),
  restarted: (turn, { attempt, text_length: length = 0 }) => ({
    ...turn,
    attempts: Math.max(turn.attempts, attempt ?? 1),
    // The server counts code points, String.slice would count UTF-16 units.
    text: [...turn.text].slice(0, length).join(''),
  }),
  completed: (turn, { response, actions, sources, metadata, awaiting }) => ({
    ...ended(turn, 'completed'),
    answer: { content: response ?? '', actions, sources, metadata, awaiting },
  }),
  failed,
  timeout: failed,
  cancelled: failed,
};

/** Each is called like the state that it leaves behind. */
function failed(turn, { type, error, code }) {
  return { ...ended(turn, type), error, code };
}

function ended(turn, state) {
  const over = state === 'completed' ? 'done' : 'failed';
  return { ...turn, state, steps: turn.steps.map((step) => (step.state === 'running' ? { ...step, state: over } : step)) };
}
