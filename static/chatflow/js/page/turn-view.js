import { Actions } from './actions.js';
import { answerMark } from './answer-mark.js';
import { commentForm } from './comment-form.js';
import { element, isTouch, setText } from './dom.js';
import { failureBox } from './failures.js';
import { MarkdownView } from './markdown-view.js';
import { questionBar } from './questions.js';
import { Sections } from './sections.js';
import { citer, sourceList } from './sources.js';
import { Steps } from './steps.js';
import { toolbar } from './toolbar.js';
import { isEnded, isStopped } from './turn-state.js';
import { TurnStatus } from './turn-status.js';

/** What became of one message of the user: its steps, its words, and what can be done next. */
export class TurnView {
  node = element('article', { className: 'message message--assistant' });
  #moves;
  #steps = new Steps();
  #status = new TurnStatus();
  #text = new MarkdownView();
  #plain = element('div', { className: 'message__text message__text--plain', dir: 'auto', hidden: true });
  #rest = new Sections('turn', ['mark', 'failure', 'sources', 'question', 'actions', 'tools', 'comment']);
  #actions;
  #cite = { key: 'undefined', with: undefined };
  #turn = null;
  #sawItRun = false;

  /** @param {object} moves what the page does: see chat-page.js */
  constructor(moves) {
    this.#moves = moves;
    this.#actions = new Actions(moves);
    this.node.append(this.#steps.node, this.#text.node, this.#plain, this.#status.node, this.#rest.node);
  }

  /**
   * @param {object} turn see turn-state.js; `answer`: the message that it ended with
   * @param {object} options `isLast`: nothing was said after it; `awaiting`: the question that is open
   */
  show(turn, { isLast = false, awaiting = null } = {}) {
    this.#turn = turn;
    const over = isEnded(turn);
    this.#sawItRun ||= !over;
    const { answer = {} } = turn;
    const { metadata, sources } = answer;
    // The history says so of what is still offered, the stream says nothing: the form that stands open stays.
    const actions = (answer.actions ?? []).map(({ state, ...action }) => (state === 'offered' ? action : { ...action, state }));
    this.node.dataset.state = turn.state;
    if (turn.jobId) this.node.dataset.jobId = turn.jobId;
    this.node.setAttribute('aria-busy', String(!over));
    this.#steps.show(turn, over);
    this.#status.show(turn);
    this.#showText(answer.content || turn.text, { growing: !over, awaiting: answer.awaiting, sources });
    this.#rest.show('mark', metadata, () => answerMark(metadata));
    const failure = over && turn.state !== 'completed' && [turn.error, turn.code, turn.admin_url, turn.can_retry, isLast];
    this.#rest.show('failure', failure, () => (failure ? this.#failure(isLast) : null));
    this.#rest.show('sources', sources, () => sourceList(sources));
    this.#rest.show('question', awaiting, () => questionBar(awaiting, this.#moves));
    this.#actions.show(actions.map((action) => (isLast || outlasts(action) ? action : null)));
    this.#rest.show('actions', actions.length > 0, () => (actions.length ? this.#actions.node : null));
    this.#rest.show('tools', over && [turn, isLast], () => (over ? toolbar(turn, { isLast }, this.#toolMoves) : null));
  }

  /** Count on, once a second. */
  tick() {
    if (!this.#turn || isEnded(this.#turn)) return;
    this.#steps.tick();
    this.#status.tick();
  }

  /** A bad answer may be told why. */
  get #toolMoves() {
    const { feedback } = this.#moves;
    if (!feedback) return this.#moves;
    const rate = async (jobId, value) => {
      const isKept = await feedback(jobId, value);
      this.#askWhy(isKept && value === 'down');
      if (!isTouch()) this.#rest.nodeOf('comment').querySelector('input')?.focus();
    };
    return { ...this.#moves, feedback: rate };
  }

  #askWhy(isOpen) {
    const { jobId } = this.#turn;
    const close = () => {
      this.#askWhy(false);
      // The thumb that asked, the last one; a history that was on its way may not show it pressed.
      [...this.#rest.nodeOf('tools').querySelectorAll('[aria-pressed]')].at(-1)?.focus();
    };
    const send = async (comment) => {
      const isKept = await this.#moves.feedback(jobId, 'down', comment);
      if (isKept) close();
      return isKept;
    };
    this.#rest.show('comment', isOpen, () => (isOpen ? commentForm({ send, close }) : null));
  }

  #showText(text, { growing, awaiting, sources }) {
    // Consent is given to the words as they stand, not to what they may be made to look like.
    const isPlain = awaiting?.kind === 'approval';
    this.#plain.hidden = !isPlain || !text;
    this.#text.node.hidden = isPlain || !text;
    if (isPlain) return setText(this.#plain, text);
    const key = JSON.stringify(sources) ?? 'undefined';
    if (key !== this.#cite.key) this.#cite = { key, with: citer(sources) };
    this.#text.show(text ?? '', { growing, cite: this.#cite.with });
  }

  #failure(isLast) {
    // One that was refused has no job.
    const { jobId, key } = this.#turn;
    const again = isLast && !isStopped(this.#turn) ? () => this.#moves.retry(jobId ?? key) : null;
    return failureBox(this.#turn, { again, isNew: this.#sawItRun });
  }
}

/** Whether an action can still be used once the talk has gone on. */
const outlasts = ({ id, type }) => type === 'link' || (id && type !== 'quick_reply');
