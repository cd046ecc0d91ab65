/** An act with many jobs goes on by itself, a part for each request, until it is done or stopped. Without, it is a button. */

import { takeOver } from './live-parts.js';

/** Sends the form again and again, each time with where the last answer stands. */
export class Run {
  #page;
  #tools;
  #isStopped = false;

  constructor(page, tools = {}) {
    this.#page = page;
    this.#tools = { send, show, leave: (address) => location.assign(address), ...tools };
    this.form = page.querySelector('form');
    this.go = page.querySelector('[data-go]');
    this.stop = page.querySelector('[data-stop]');
    this.back = page.querySelector('.jl-back');
    this.said = page.querySelector('[data-said]');
    this.stop.addEventListener('click', () => this.#end('Stopping…'));
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.run();
    });
  }

  async run() {
    if (!this.stop.hidden) return;
    this.#isStopped = false;
    this.#look(true);
    this.#say('');
    while (!this.#isStopped) {
      const answer = await this.#tools.send(this.form).catch(() => null);
      // It is done: the list tells what has become of the jobs.
      if (answer?.isDone) return this.#tools.leave(this.back.href);
      if (!answer?.page) this.#end('The server gave no answer. What was done so far stands; nothing is done twice when you go on.');
      else if (this.#tools.show(this.#page, answer.page)) this.#end('Please correct what is marked.');
    }
    if (this.said.textContent === 'Stopping…') this.#say('Stopped. What was done so far stands.');
    this.#look(false);
  }

  #end(words) {
    this.#isStopped = true;
    this.#say(words);
  }

  #say(words) {
    this.said.textContent = words;
    this.said.hidden = !words;
  }

  #look(isRunning) {
    [this.go.hidden, this.back.hidden, this.stop.hidden] = [isRunning, isRunning, !isRunning];
    (isRunning ? this.stop : this.go).focus();
    if (!isRunning) [this.go.textContent, this.back.textContent] = ['Go on', 'Back to the list'];
  }
}

/** Send a form: the page that answers, or that all is done, which an answer without a page says. */
async function send(form) {
  const body = new FormData(form);
  body.set('confirmed', '1');
  body.set('brief', '1');
  const answer = await fetch(location.href, { method: 'POST', body, redirect: 'manual' });
  if (answer.status === 204) return { isDone: true };
  const text = answer.ok ? await answer.text() : '';
  return { page: new DOMParser().parseFromString(text, 'text/html').getElementById('job-bulk') };
}

/** Show how far it is, and let the form go on from there; return whether the form was not accepted. */
function show(page, fresh) {
  takeOver(page, fresh);
  const at = (from, selector) => [...from.querySelectorAll(selector)];
  at(page, '[name=standing]').forEach((input, place) => (input.value = at(fresh, '[name=standing]')[place]?.value ?? input.value));
  for (const old of at(page, '.jl-field .errorlist')) old.remove();
  const wrong = at(fresh, '.jl-field .errorlist');
  for (const error of wrong) page.querySelector(`#${error.closest('.jl-field').querySelector('[id]').id}`).after(error);
  return wrong.length > 0;
}

const page = globalThis.document?.getElementById('job-bulk');
if (page?.querySelector('form')) new Run(page);
