import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

const ROOT = new URL('../../static/js/', import.meta.url).pathname;
const IMPORT = /^\s*(?:import|export)\b[^'"]*?\bfrom\s+['"]([^'"]+)['"]/gm;

/** What the modules of a room import, as paths below static/js. */
async function imported(room) {
  const names = (await readdir(join(ROOT, room))).filter((name) => name.endsWith('.js'));
  const found = names.map(async (name) => {
    const path = join(ROOT, room, name);
    const text = await readFile(path, 'utf8');
    return [...text.matchAll(IMPORT)].map(([, target]) => relative(ROOT, join(dirname(path), target)));
  });
  return (await Promise.all(found)).flat();
}

test('the client stands alone', async () => {
  const targets = await imported('client');

  assert.ok(targets.includes('client/errors.js'), 'The walk finds what there is.');
  assert.deepEqual(targets.filter((path) => !path.startsWith('client/')), []);
});

test('the page uses the client and its own', async () => {
  const targets = await imported('page');

  assert.ok(targets.includes('client/async-chat.js'));
  assert.deepEqual(targets.filter((path) => !/^(client|page)\//.test(path)), []);
});

test('the address that people import gives the client', async () => {
  const { AsyncChatClient, ChatError } = await import('../../static/js/async-chat.js');
  const client = await import('../../static/js/client/async-chat.js');

  assert.equal(AsyncChatClient, client.AsyncChatClient);
  assert.equal(ChatError, client.ChatError);
});
