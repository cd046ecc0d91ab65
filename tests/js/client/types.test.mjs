/** The types name all that there is, and nothing else. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as client from '../../../static/chatflow/js/client/async-chat.js';
import { Listeners } from '../../../static/chatflow/js/client/listeners.js';

const types = readFileSync(new URL('../../../static/chatflow/js/client/async-chat.d.ts', import.meta.url), 'utf8');
const [, body] = /^export class AsyncChatClient \{\n(.*?)^\}/ms.exec(types);
const own = ({ prototype }) => Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');

test('every method and property of the client', () => {
  // What a listener is told by is its own business.
  const names = [...own(client.AsyncChatClient), ...own(Listeners)].filter((name) => name !== 'notify');
  const properties = Object.keys(new client.AsyncChatClient());
  const typed = [...body.matchAll(/^  (?:[gs]et )?(\w+)[(:]/gm)].map(([, name]) => name).filter((name) => name !== 'constructor');
  assert.deepEqual([...new Set(typed)].sort(), [...names, ...properties].sort());
});

test('every export', () => {
  const typed = [...types.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(typed.sort(), Object.keys(client).sort());
});
