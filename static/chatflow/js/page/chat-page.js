import { AsyncChatClient } from '../async-chat.js';
import { sessionInAddress, setAddress } from './address.js';
import { Attachments } from './attachments.js';
import { Attention } from './attention.js';
import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { Conversation } from './conversation.js';
import { ConversationList } from './conversation-list.js';
import { ask } from './dialogs.js';
import { button, byId, element, setText } from './dom.js';
import { afterFirstPaint } from './first-paint.js';
import { announce, notify } from './notices.js';
import { reasonOf } from './reasons.js';
import { listenForShortcuts } from './shortcuts.js';
import { isOnlyRead } from './session-news.js';
import { Sidebar } from './sidebar.js';
import { followTheme } from './theme.js';
import { isEnded } from './turn-state.js';
import { gettext } from './words.js';
import { WorkflowPicker } from './workflow-picker.js';

// What an action says of itself, where it stands, and what the user has stopped.
const REFUSALS = /^(invalid$|aborted$|action_|approval_|question_)/;
// What was decided elsewhere is not to be tried again.
const SETTLED = /^(approval|question)_/;
// Milliseconds within which several reasons to look at the history anew are one.
const PAUSE = 60;

/** The chat page: what the server says was said, kept in step with it. */
class ChatPage {
  #root = byId('chat');
  #urls = JSON.parse(this.#root.dataset.urls);
  #client = this.#newClient();
  #attention = new Attention();
  #connection = new Connection();
  #sidebar = new Sidebar();
  // The conversation that is shown, as the server has told it, also where the list doesn't have it.
  #session = null;
  #lastFrame = null;
  #isStored = false;
  #refreshing = null;
  #opened = 0;
  #looks = 0;
  #shown = 0;
  #followed = new Map();
  #sending = new Map();
  #isWatching = false;
  #isAlone = false;
  #isLost = false;
  #closeNotice = () => {};
  #isStale = false;
  #deleting = new Set();
  #waiting = new Set();

  #moves = {
    reply: (answer, label) => this.#send({ text: answer, label }),
    act: (action, data) => this.#act(action, data),
    decide: (awaiting, decision) => this.#decide(awaiting, decision),
    edit: (message, text) => this.#send({ text, edits: message.id, files: message.files }),
    regenerate: (jobId) => this.#regenerate(jobId),
    retry: (jobId) => this.#retry(jobId),
    feedback: (jobId, value, comment) => this.#feedback(jobId, value, comment),
  };
  #conversation = new Conversation(this.#moves, () => this.#afterDrawing());
  #attachments = new Attachments(
    (file, onProgress, signal) => this.#upload(file, { onProgress, signal }),
    () => this.#composer?.update(),
  );
  #list = new ConversationList(this.#client, {
    open: (sessionId) => this.#open(sessionId),
    rename: (session) => this.#rename(session),
    pin: ({ session_id: id, pinned }) => this.#change(() => this.#client.pinSession(id, !pinned)),
    remove: (session) => this.#remove(session),
    exportUrl: (sessionId) => this.#urls.export.replace('{session_id}', encodeURIComponent(sessionId)),
    onChange: () => {
      this.#attention.setCount(this.#list.unread);
      const session = this.#list.get(this.#client.sessionId);
      // A file that was uploaded has made a conversation of it, too.
      if (session) this.#begin();
      this.#session = session ?? this.#session;
      this.#showTitle();
    },
  });
  #composer = new Composer({
    send: (message) => this.#send({ ...message, files: this.#attachments.take() }),
    stop: () => this.#stop(),
    type: (text) => this.#client.saveDraft(text, this.#draftKey),
    editLast: () => this.#editLast(),
    isReady: () => this.#attachments?.isReady ?? true,
    hasFiles: () => !(this.#attachments?.isEmpty ?? true),
  });

  start() {
    followTheme();
    new WorkflowPicker((workflow) => this.#composer.setWorkflow(workflow));
    byId('suggestions').onclick = ({ target: { dataset } }) => dataset.message && this.#send({ text: dataset.message });
    byId('new-conversation').addEventListener('click', () => this.#open(null));
    byId('leave-question').addEventListener('click', () => this.#send({ text: 'cancel', label: gettext('Cancel the request') }));
    addEventListener('popstate', () => this.#open(sessionInAddress(), { isInAddress: true }));
    addEventListener('offline', () => this.#connection.show(true));
    // The stream may have outlived it, and has nothing to tell then.
    addEventListener('online', () => this.#connection.show(this.#isLost));
    document.addEventListener('visibilitychange', () => this.#markRead());
    listenForShortcuts({
      search: () => {
        this.#sidebar.show(true);
        this.#list.focusSearch();
      },
      start: () => this.#open(null),
      stop: () => this.#stop(),
    });
    // What was sent, and what was typed, before this script was there.
    const early = this.#composer.takeEarly();
    const draftKey = sessionInAddress() ?? '';
    if (this.#composer.text !== this.#client.draft(draftKey)) this.#client.addToDraft(this.#composer.text, draftKey);
    // Before the list is loaded, so that nothing falls between.
    this.#watch();
    this.#list.load();
    this.#sendWaiting();
    this.#open(sessionInAddress(), { isInAddress: true });
    if (early) this.#send({ text: early });
  }

  /** Take what happens to the user anywhere: in this tab, in another one, on another device. */
  #watch() {
    this.#client.watch({
      onSession: (session) => this.#onSession(session),
      onDeleted: (sessionId) => this.#onDeleted(sessionId),
      onReset: () => {
        this.#list.load();
        this.#refreshSoon();
      },
      onJob: (frame, jobId) => this.#onFrame(frame, jobId),
      onConnection: (state) => this.#onConnection(state),
    });
  }

  #onSession(session) {
    const { session_id: id, active_job: job } = session;
    const before = this.#list.get(id);
    const isHere = id === this.#client.sessionId;
    if (isHere) {
      if (!isOnlyRead(this.#lastFrame, session)) this.#refreshSoon();
      this.#lastFrame = this.#session = session;
    }
    this.#list.put(session);
    if (isHere) {
      this.#showTitle();
      this.#markRead();
    }
    if (before?.active_job && !job) this.#attention.tell(session, () => this.#open(id));
  }

  #onDeleted(sessionId) {
    this.#list.remove(sessionId);
    if (sessionId !== this.#client.sessionId || !this.#isStored) return;
    if (!this.#deleting.has(sessionId)) notify(gettext('This conversation was deleted.'));
    this.#moveOn();
  }

  /** The conversation is gone; what was typed in it goes along into a new one. */
  #moveOn() {
    this.#client.addToDraft(this.#composer.text, '');
    this.#client.saveDraft('');
    this.#open(null, { replaces: true });
  }

  #onFrame(frame, jobId) {
    const isWhole = this.#conversation.frame(jobId, frame);
    if (!this.#conversation.shows(jobId)) return;
    if (!isWhole) this.#follow(jobId);
    else if (isEnded({ state: frame.status })) this.#refreshSoon();
  }

  #onConnection(state) {
    this.#isWatching = state === 'connected';
    this.#isLost = state === 'reconnecting' || state === 'offline';
    if (state === 'signed-out') return this.#askToSignIn();
    // Somebody may have signed in again in another tab.
    if (this.#isWatching) this.#closeNotice();
    this.#connection.show(this.#isLost);
    // What happened meanwhile comes by the stream; what it doesn't tell, the history does.
    this.#isAlone = state === 'unsupported';
    if (this.#isWatching || this.#isAlone) this.#refreshSoon();
  }

  /** Send what an earlier visit has left, and show it where it belongs. */
  #sendWaiting() {
    this.#client.onOutbox(() => this.#dropSent());
    this.#waiting = new Set(this.#client.waiting.map(({ key }) => key));
    this.#client.onRefused((message, error) => this.#putBack(message, error));
    this.#client.flush();
  }

  /** What waited and waits no more, whoever has sent it, is in the history. */
  #dropSent() {
    const left = new Set(this.#client.waiting.map(({ key }) => key));
    for (const key of this.#waiting) {
      if (left.has(key)) continue;
      this.#waiting.delete(key);
      this.#conversation.refused(key, null);
      this.#refreshSoon();
    }
  }

  /** A message of an earlier visit was refused: its words go back to where they can be changed. */
  #putBack({ session_id: id, message, options }, error) {
    const way = this.#keep(message, id) ? {} : { label: gettext('Open'), onClick: () => this.#open(id) };
    this.#tellKept(error, options.files, { ...way, stays: true });
  }

  /** Put words that were not sent behind a draft; returns whether that is the one in the composer. */
  #keep(words, draftKey) {
    const isOpen = draftKey === this.#draftKey;
    // Another tab may have changed what is stored.
    if (isOpen) this.#client.saveDraft(this.#composer.text, draftKey);
    const draft = this.#client.addToDraft(words, draftKey);
    if (isOpen) this.#composer.text = draft;
    return isOpen;
  }

  #tellKept(error, files, options) {
    const reasons = [reasonOf(error), ...(files?.length ? [gettext('Its files have to be added again.')] : [])];
    notify(gettext('A message was not sent, and is kept as a draft. {reason}', { reason: reasons.join(' ') }), options);
  }

  /** Show what waits to be sent in this conversation; returns whether something does. */
  #showWaiting() {
    const waiting = this.#client.waiting.filter(({ session_id: id }) => id === this.#client.sessionId);
    for (const { key, message, options } of waiting) {
      const sent = this.#sending.get(key);
      // What was sent in this visit is told by what sends it.
      if (!sent) this.#waiting.add(key);
      if (this.#conversation.messageOf(key)) continue;
      // Of its files only the ids are known.
      this.#conversation.add(key, sent?.message ?? { ...options, content: message, files: undefined });
    }
    return waiting.length > 0;
  }

  /** Show another conversation, or with null a new one; what runs in the old one goes on. */
  async #open(sessionId, { isInAddress = false, replaces = false } = {}) {
    const turn = (this.#opened += 1);
    this.#client.sessionId = sessionId ?? this.#newClient().sessionId;
    this.#session = this.#list.get(sessionId);
    this.#lastFrame = null;
    this.#isStored = Boolean(sessionId);
    this.#root.dataset.session = this.#client.sessionId;
    if (!isInAddress) setAddress(sessionId, { replaces });
    byId('conversation').dataset.loading = String(Boolean(sessionId));
    this.#conversation.clear();
    byId('welcome').hidden = Boolean(sessionId);
    this.#composer.text = this.#client.draft(this.#draftKey);
    this.#composer.setWorkflow(null);
    this.#attachments.clear();
    this.#list.select(sessionId);
    this.#sidebar.show(false);
    this.#showTitle();
    this.#composer.focus();
    if (sessionId) await this.#restore(turn);
  }

  async #restore(turn) {
    let absence = null;
    const past = await this.#look().catch((error) => void (absence = error));
    if (turn !== this.#opened) return;
    byId('conversation').dataset.loading = 'false';
    if (past) {
      this.#conversation.take(past, { isNew: true });
      this.#followActive(past);
    }
    // The server may not know it yet.
    if (!this.#showWaiting() && absence) this.#showAbsence(absence);
    if (past) this.#markRead();
  }

  /** Say why a conversation can't be shown, and the way on. */
  #showAbsence(error) {
    // The way on stands in its notice.
    if (error.status === 401) return this.#askToSignIn();
    const isGone = error.status === 404;
    const text = isGone ? gettext('This conversation is gone, or it is somebody else’s.') : reasonOf(error);
    const onClick = () => (isGone ? this.#moveOn() : this.#open(this.#client.sessionId, { isInAddress: true }));
    const way = button(isGone ? gettext('New conversation') : gettext('Try again'), onClick, 'button');
    const box = element('div', { className: 'absence', attributes: { role: 'alert' } }, element('p', { textContent: text }), way);
    byId('conversation').append(box);
  }

  /** Look at the history anew, soon. */
  #refreshSoon() {
    clearTimeout(this.#refreshing);
    this.#refreshing = setTimeout(() => this.#refresh(), PAUSE);
  }

  /** The history; null where another conversation is shown by now, or what was asked for later has come before. */
  async #look() {
    const turn = this.#opened;
    const look = (this.#looks += 1);
    const past = await this.#client.history();
    if (turn !== this.#opened || look < this.#shown) return null;
    this.#shown = look;
    return past;
  }

  async #refresh() {
    // Another one may be shown by now, and the server knows none that is new or about to be deleted.
    if (!this.#isStored || this.#deleting.has(this.#client.sessionId)) return;
    this.#dropSent();
    // The history may have a message already of which this page doesn't know yet that it has arrived.
    this.#isStale = this.#conversation.isSending;
    if (this.#isStale) return;
    const past = await this.#look().catch(() => null);
    if (!past) return;
    document.querySelector('#conversation > .absence')?.remove();
    this.#isStale = this.#conversation.isSending;
    if (!this.#isStale) this.#conversation.take(past);
    this.#followActive(past);
  }

  /** What runs here comes by the common stream, if there is one: a browser has few connections to a server. */
  #followActive({ active_job: job }) {
    if (job && this.#isAlone) this.#follow(job.job_id, job);
  }

  /** Take a job's frames from its first one, where the common stream has not brought them. */
  async #follow(jobId, job = jobId) {
    if (this.#followed.has(jobId)) return;
    const client = this.#newClient(this.#client.sessionId);
    this.#followed.set(jobId, client);
    client.onProgress((frame) => this.#conversation.frame(jobId, frame));
    await client.resume(job).catch(() => null);
    this.#followed.delete(jobId);
    this.#refreshSoon();
  }

  /** Send a message of the user; nothing of it is lost if it can't be sent. */
  async #send({ text, label = text, workflow, edits, files = [] }) {
    const key = newKey();
    const sessionId = this.#client.sessionId;
    // The button that was pressed may go.
    this.#composer.focus();
    // Of a file that was deleted only the name is left.
    const sent = files.filter(({ id }) => id);
    const message = { content: text, label, workflow, edits, files: sent.length ? sent : undefined };
    if (edits) this.#conversation.cut(edits);
    const isFirst = this.#begin();
    this.#conversation.add(key, message);
    const options = {
      idempotencyKey: key,
      ...(workflow && { workflow }),
      ...(edits && { edits }),
      ...(sent.length && { files: sent.map(({ id }) => id) }),
    };
    const error = await this.#run(key, (client, signal) => client.send(text, { ...options, signal }), message);
    if (error && !error.jobId) this.#giveBack(message, { key, sessionId, isFirst, error });
  }

  /** A message was not taken: its words go back to where they can be changed, whatever is shown by now. */
  #giveBack({ content, edits, files }, { key, sessionId, isFirst, error }) {
    const isHere = sessionId === this.#client.sessionId;
    // What was stopped before it was sent is no failure.
    if (isHere) this.#conversation.refused(key, error.code === 'aborted' ? null : error);
    const isNew = isFirst && !this.#list.get(sessionId);
    if (isHere && isNew && !this.#conversation.running.length) this.#unbegin();
    this.#keep(content, isHere ? this.#draftKey : isNew ? '' : sessionId);
    if (!isHere) return this.#tellKept(error, files);
    this.#attachments.put(files ?? []);
    // What an edit took off the page is there as before.
    if (edits || this.#isStale) this.#refreshSoon();
  }

  /** The conversation exists from its first message or file on; returns whether that is this one. */
  #begin() {
    if (this.#isStored) return false;
    this.#client.saveDraft('', this.#draftKey);
    this.#isStored = true;
    // Where it was no message of the composer's.
    this.#client.saveDraft(this.#composer.text, this.#draftKey);
    setAddress(this.#client.sessionId);
    this.#list.select(this.#client.sessionId);
    return true;
  }

  /** The first message was refused: to the server there is no conversation. */
  #unbegin() {
    this.#isStored = false;
    setAddress(null, { replaces: true });
    this.#list.select(null);
    this.#showTitle();
  }

  #act({ id, label, message }, data) {
    // Where an answer got lost, using it again brings the same one.
    return this.#use(message ?? label, (client, signal) => client.act(id, { data, async: true, idempotencyKey: id, signal }));
  }

  #decide({ approval_id: id }, decision) {
    const verdict = decision.approved ? gettext('Approved') : gettext('Rejected');
    const label = decision.reason ? `${verdict}: ${decision.reason}` : `${verdict}.`;
    return this.#use(label, (client, signal) => client.approve(id, { ...decision, signal }));
  }

  /** Do what the server offered; resolves with the error that kept it from it, or null. */
  async #use(label, begin) {
    const key = newKey();
    this.#composer.focus();
    this.#conversation.add(key, { content: label, label, again: () => this.#use(label, begin) });
    const error = await this.#run(key, begin);
    if (!error || error.jobId) return null;
    const isTold = error.status === 401 || REFUSALS.test(error.code);
    this.#conversation.refused(key, isTold ? null : error);
    if (error.status === 401) this.#askToSignIn();
    if (SETTLED.test(error.code)) {
      notify(reasonOf(error));
      this.#refreshSoon();
    }
    return error;
  }

  /** Start a job for the message `key`; resolves with the error that came instead of an answer. */
  async #run(key, begin, message) {
    const turn = this.#opened;
    const client = this.#newClient(this.#client.sessionId);
    const following = new AbortController();
    let jobId = null;
    this.#sending.set(key, { abort: () => following.abort(), message });
    client.onStart((job) => {
      jobId = job.job_id;
      this.#sending.delete(key);
      this.#conversation.started(key, jobId);
      // A job that is done again has no message of its own.
      if (this.#isStale || !this.#conversation.shows(jobId)) this.#refreshSoon();
      // The frames come by the common stream then: a browser has few connections to a server.
      if (this.#isWatching) following.abort();
      else this.#followed.set(jobId, client);
    });
    client.onProgress((frame, id) => this.#conversation.frame(id, frame));
    try {
      await begin(client, following.signal);
      return null;
    } catch (error) {
      return jobId && following.signal.aborted ? null : error;
    } finally {
      client.disconnect();
      this.#sending.delete(key);
      this.#followed.delete(jobId);
      if (turn === this.#opened && jobId && !following.signal.aborted) this.#refreshSoon();
      if (!this.#isWatching) this.#list.load();
    }
  }

  #regenerate(jobId) {
    const message = this.#conversation.messageOf(jobId);
    if (message?.id) this.#sendAgain(message);
  }

  #retry(jobId) {
    if (this.#conversation.canRetry(jobId)) return this.#retryJob(jobId);
    const message = this.#conversation.messageOf(jobId);
    if (!message) return;
    if (!message.id) this.#forget(jobId, message);
    if (message.again) message.again();
    else this.#sendAgain(message);
  }

  #sendAgain(message) {
    this.#send({ ...message, text: message.content, edits: message.id ?? message.edits });
  }

  /** With the same answers and data, which the words of its message are not. */
  async #retryJob(jobId) {
    this.#composer.focus();
    const error = await this.#run(newKey(), (client, signal) => client.retry(jobId, { signal }));
    if (error && !error.jobId) this.#tell(error);
    this.#refreshSoon();
  }

  /** Take a message that was refused off the page, and out of the composer, before it is sent again. */
  #forget(key, { content, files }) {
    this.#conversation.refused(key, null);
    this.#attachments.drop(files ?? []);
    const { text } = this.#composer;
    if (!`\n\n${text}`.endsWith(`\n\n${content}`)) return;
    this.#composer.text = text.slice(0, text.length - content.length).trimEnd();
    this.#client.saveDraft(this.#composer.text, this.#draftKey);
  }

  /** Resolves with whether it was kept. */
  async #feedback(jobId, value, comment) {
    try {
      await this.#client.feedback(jobId, value, comment);
      this.#conversation.rated(jobId, value, comment);
      announce(value ? gettext('Thank you') : gettext('Taken back'));
      // A history that is on its way may not know it yet.
      this.#refreshSoon();
      return true;
    } catch (error) {
      this.#tell(error);
      return false;
    }
  }

  #editLast() {
    const pencil = [...document.querySelectorAll('#conversation [data-edit]')].at(-1);
    pencil?.click();
    return Boolean(pencil);
  }

  /** Stop what runs here, and take back what has not been sent yet. */
  async #stop() {
    const unsent = this.#conversation.sending;
    for (const { key, message } of unsent) this.#takeBack(key, message);
    const jobs = this.#conversation.running.filter(Boolean);
    for (const jobId of jobs) await this.#client.cancel(jobId).catch((error) => this.#tell(error));
    if (jobs.length || unsent.length) announce(gettext('Stopped'));
  }

  #takeBack(key, { content }) {
    const sent = this.#sending.get(key);
    if (sent) return sent.abort();
    // It was written in an earlier visit.
    this.#waiting.delete(key);
    this.#client.takeBack(key);
    this.#conversation.refused(key, null);
    this.#keep(content, this.#draftKey);
  }

  async #rename({ session_id: id, title }) {
    const name = await ask({ title: gettext('Rename the conversation'), yes: gettext('Rename'), value: title ?? '', maxLength: 120 });
    if (name !== null) this.#change(() => this.#client.renameSession(id, name));
  }

  async #remove({ session_id: id, title }) {
    const isSure = await ask({
      title: gettext('Delete “{title}”?', { title: title || gettext('New conversation') }),
      text: gettext('Its messages, jobs and files are deleted. There is no way back.'),
      yes: gettext('Delete'),
      isDangerous: true,
    });
    if (!isSure) return;
    this.#deleting.add(id);
    if (!(await this.#change(() => this.#client.deleteSession(id)))) return this.#deleting.delete(id);
    this.#list.remove(id);
    if (id === this.#client.sessionId) this.#moveOn();
  }

  /** Resolves with true where it could be changed; where not, it is told. */
  async #change(change) {
    try {
      const session = await change();
      if (session && 'title' in session) {
        if (session.session_id === this.#client.sessionId) this.#session = session;
        this.#list.put(session);
      }
      this.#showTitle();
      return true;
    } catch (error) {
      this.#tell(error);
    }
  }

  async #upload(file, options) {
    try {
      return await this.#client.upload(file, options);
    } catch (error) {
      if (error.status === 401) this.#askToSignIn();
      throw error;
    }
  }

  /** Say that what is shown was seen; of a conversation that isn't in the list, the answer has the title. */
  async #markRead() {
    const id = this.#client.sessionId;
    if (document.hidden || !this.#isStored || this.#session?.unread === false) return;
    if (this.#session) this.#list.put((this.#session = { ...this.#session, unread: false }));
    const read = await this.#client.markRead(id).catch(() => null);
    if (!read || id !== this.#client.sessionId) return;
    this.#session ??= read;
    this.#showTitle();
  }

  #tell(error) {
    if (error.status === 401) this.#askToSignIn();
    else notify(reasonOf(error));
  }

  /** The one sentence to whoever is signed out, and the way on. */
  #askToSignIn() {
    this.#closeNotice();
    this.#connection.hide();
    const label = gettext('Sign in');
    const onClick = () => location.assign(`${this.#root.dataset.login}?next=${encodeURIComponent(location.pathname + location.search)}`);
    this.#closeNotice = notify(gettext('You are signed out. What you have written is kept.'), { label, onClick, stays: true });
  }

  /** Of a conversation that doesn't exist yet, what was typed is kept under no name. */
  get #draftKey() {
    return this.#isStored ? this.#client.sessionId : '';
  }

  #afterDrawing() {
    this.#composer?.show({ isRunning: this.#conversation.running.length > 0, awaiting: this.#conversation.awaiting });
  }

  #showTitle() {
    const title = this.#session?.title;
    setText(byId('title'), title || gettext('New conversation'));
    this.#attention.setTitle(title);
  }

  #newClient(sessionId) {
    const { user, worker } = this.#root.dataset;
    const client = new AsyncChatClient('', null, { urls: this.#urls, maxFailures: Infinity, user, worker });
    if (sessionId) client.sessionId = sessionId;
    client.onSignedOut(() => this.#askToSignIn());
    return client;
  }
}

// Pages that come over plain http from another machine have no randomUUID().
const newKey = () => crypto.randomUUID?.() ?? String(Math.random());

afterFirstPaint(() => new ChatPage().start());
