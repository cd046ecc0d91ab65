/** What the tests of actions, fields and questions share: a page's moves, and a form to fill in. */

import { ChatError } from '../../../static/js/async-chat.js';

export const SCHEMA = {
  type: 'object',
  required: ['name', 'count', 'size'],
  properties: {
    name: { type: 'string', title: 'Your name', maxLength: 20 },
    count: { type: 'integer', minimum: 1 },
    size: { enum: ['s', 'l'] },
    colour: { $ref: '#/$defs/Colour', default: 'blue' },
    gift: { type: 'boolean' },
    note: { anyOf: [{ type: 'string', format: 'email' }, { type: 'null' }], default: null },
    extra: { type: 'array' },
  },
  $defs: { Colour: { enum: ['red', 'blue'] } },
};

export const invalid = (errors) => new ChatError('wrong', { code: 'invalid', status: 400, errors });
export const submit = (form) => form.onsubmit({ preventDefault() {} });
export const labels = (bar) => bar.all('button').map(({ textContent }) => textContent);

/** What a page does, noted; `outcome` is what the server says to it. */
export function page(outcome = null) {
  const done = [];
  return {
    done,
    reply: (...said) => done.push(said),
    act: async (...used) => (done.push(used), outcome),
    decide: async (...decided) => (done.push(decided), outcome),
  };
}
