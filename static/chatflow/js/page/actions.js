import { button, closeByEscape, element } from './dom.js';
import { Fields } from './fields.js';
import { link } from './links.js';
import { reasonOf } from './reasons.js';
import { Sections } from './sections.js';
import { gettext } from './words.js';

const SETTLED = { used: () => gettext('used'), expired: () => gettext('expired') };

/**
 * The next moves that a message offers.
 *
 * @param {object[]} actions
 * @param {object} moves what the page does: `act(action, data)` resolves with the error that kept
 *   the server from it, or null; `reply(text, label)` sends a message
 */
export function actionBar(actions, moves) {
  const nodes = (actions ?? []).map((action) => control(action, moves)).filter(Boolean);
  return nodes.length ? element('div', { className: 'message__actions' }, ...nodes) : null;
}

/** The same where a message is shown for long: a move is built anew only where it has changed, so an open form stays open. */
export class Actions {
  #moves;
  #places = new Sections('actions', []);
  node = this.#places.node;

  /** @param {object} moves see actionBar() */
  constructor(moves) {
    this.#moves = moves;
  }

  /** @param {(object|null)[]} actions each in the place that it keeps; null: not offered at present */
  show(actions) {
    actions.forEach((action, index) => this.#places.show(index, action, () => action && control(action, this.#moves)));
  }
}

function control(action, moves) {
  const { id, type, label, url, message } = action;
  const name = String(label ?? message ?? url ?? '');
  const state = Date.parse(action.expires_at) <= Date.now() ? 'expired' : action.state;
  if (state in SETTLED) return settled(name, state);
  if (type === 'link') {
    const anchor = link(name, url);
    return anchor.href ? Object.assign(anchor, { className: 'chip' }) : null;
  }
  if (!name || !moves) return null;
  if (id) return new Action(action, name, moves).node;
  return message ? button(name, () => moves.reply(String(message), name), 'chip reply') : null;
}

function settled(name, state) {
  const note = element('span', { className: 'chip__state', textContent: SETTLED[state]() });
  return element('button', { type: 'button', className: 'chip', disabled: true }, `${name} `, note);
}

/** A button, and where it asks something first, the panel that opens in its place. */
class Action {
  node = element('div', { className: 'action' });
  #action;
  #moves;
  #opener;
  #fields = null;
  #complaint = element('p', { className: 'field__error', hidden: true, attributes: { role: 'alert' } });

  constructor(action, name, moves) {
    this.#action = action;
    this.#moves = moves;
    this.name = name;
    // A quick reply answers this message only.
    if (action.type === 'quick_reply') this.node.className = 'action reply';
    const asks = action.type === 'form' || action.type === 'confirm';
    this.#opener = button(name, () => (asks ? this.#open() : this.#use()), 'chip');
    this.node.append(this.#opener, this.#complaint);
  }

  #open() {
    const { type, prompt, schema } = this.#action;
    const submit = element('button', { type: 'submit', className: 'chip chip--primary', textContent: this.name });
    const back = button(gettext('Back'), () => this.#close(), 'chip chip--quiet');
    const buttons = element('div', { className: 'message__actions' }, submit, back);
    this.#fields = type === 'form' ? new Fields(schema) : null;
    const title = element('p', { className: 'panel__title', textContent: prompt ?? this.name });
    const onsubmit = (event) => {
      event.preventDefault();
      this.#use(this.#fields?.values);
    };
    const parts = [title, this.#fields?.node, buttons].filter(Boolean);
    const panel = element('form', { className: 'panel', onsubmit }, ...parts);
    panel.setAttribute('aria-label', this.name);
    closeByEscape(panel, () => this.#close());
    this.node.replaceChildren(panel, this.#complaint);
    (this.#fields ?? submit).focus();
  }

  #close() {
    this.#complaint.hidden = true;
    this.node.replaceChildren(this.#opener, this.#complaint);
    this.#opener.focus();
  }

  async #use(data) {
    if (this.node.dataset.busy) return;
    this.node.dataset.busy = 'true';
    this.#opener.disabled = true;
    const error = await this.#moves.act(this.#action, data);
    delete this.node.dataset.busy;
    this.#opener.disabled = false;
    if (!error || error.code === 'action_used') return this.#settle('used');
    if (error.code === 'action_expired') return this.#settle('expired');
    if (error.code !== 'invalid') return;
    const rest = this.#fields && error.errors ? this.#fields.complain(error.errors) : reasonOf(error);
    this.#complaint.textContent = rest;
    this.#complaint.hidden = !rest;
  }

  #settle(state) {
    this.node.replaceChildren(settled(this.name, state));
  }
}
