// Every part of AsyncChatClient, in short pieces to copy from.
import { AsyncChatClient } from '../async-chat.js';
import { hideLoadingIndicator, updateLoadingIndicator } from './loading-indicator.js';
import { displayError, displayMessage, retireReplies } from './messages.js';
import { followTheme } from './theme.js';

followTheme();

const page = document.getElementById('main');
const form = document.getElementById('example-form');
const streamed = document.getElementById('streamed');

// Without `urls` it calls /ai-demo/… of this page's own site.
const chat = new AsyncChatClient('', null, { urls: JSON.parse(page.dataset.urls) });
let job = null;

// The job's id and links, as soon as the server has them: keep the id to resume after a reload.
chat.onStart((started) => {
  job = started;
});

// Every frame of the stream, from "connected" to the last one.
chat.onProgress((frame) => {
  if (frame.status === 'processing') updateLoadingIndicator(frame.message, frame.progress, frame.step?.name);
});

// The words of the answer so far.
chat.onDelta = (text) => {
  streamed.hidden = false;
  streamed.textContent = text;
};

const examples = {
  // A job in the background, with live progress.
  background: () => show(chat.sendMessage(form.message.value, { async: true })),

  // One request that waits for the answer; here at most ten seconds.
  direct: () => show(chat.sendMessage(form.message.value, { async: false, signal: AbortSignal.timeout(10_000) })),

  // In the background where that is worth it.
  smart: () => {
    const looksLikeWork = chat.shouldUseAsync(form.message.value);
    displayMessage(looksLikeWork ? 'This looks like work.' : 'The server decides.', { role: 'note' });
    return show(chat.sendSmart(form.message.value));
  },

  // The same message twice with one key: one job, two equal answers.
  twice: () => {
    const once = { async: true, idempotencyKey: chat.sessionId + form.message.value };
    return Promise.all([1, 2].map(() => show(chat.sendMessage(form.message.value, once))));
  },

  // Stop waiting. The job goes on …
  disconnect: () => chat.disconnect(),

  // … and can be followed again, all its frames from the first.
  resume: () => (job ? show(chat.resume(job.job_id)) : displayError('There is no job yet.')),

  // Stop the work itself.
  cancel: async () => {
    if (!job) return displayError('There is no job yet.');
    const { state } = await chat.cancel(job.job_id);
    displayMessage(`The job is ${state}.`, { role: 'note' });
  },

  // What was said so far.
  history: async () => {
    const { messages } = await chat.history();
    for (const { role, content } of messages) displayMessage(content, { role });
  },
};

/** Show what becomes of a send. */
async function show(sending) {
  retireReplies();
  try {
    const { response, actions, sources, awaiting } = await sending;
    // A question comes with `awaiting`; its answer is simply the session's next message.
    const moves = {
      reply: (answer) => show(chat.sendMessage(answer, { async: true })),
      act: ({ id }, data) => show(chat.act(id, { data, async: true })),
      decide: ({ approval_id: id }, decision) => show(chat.approve(id, decision)),
    };
    displayMessage(response, { actions, sources, awaiting, moves });
  } catch (error) {
    if (error.message === 'Request timed out') displayError('The request took too long. Please try again.');
    else displayError(`${error.message} (${error.code})`);
  } finally {
    hideLoadingIndicator();
    streamed.hidden = true;
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  examples.background();
});

for (const button of document.querySelectorAll('[data-example]')) {
  button.addEventListener('click', () => {
    chat.authToken = form.token.value || null;
    Promise.resolve(examples[button.dataset.example]()).catch(displayError);
  });
}
