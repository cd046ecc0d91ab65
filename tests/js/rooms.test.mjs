/** The rooms of static/chatflow/js, and the one way in which imports go: page -> async-chat.js -> client. */

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../static/chatflow/js');
const ENTRY = 'async-chat.js';
const COMMENT = /\/\*[^]*?\*\/|^\s*\/\/.*$/gm;
const IMPORT = /\b(?:from|import)\s*\(?\s*(['"`])(.*?)\1/g;
// What a room's modules may import, beside each other.
const DOORS = { client: [], page: [ENTRY, 'vendor/marked.js', 'vendor/purify.js', 'vendor/highlight.js'], operations: ['page/turn-state.js'], vendor: [], development: [], '.': ['client/async-chat.js'] };

// What a reader's own project brings.
const PEERS = { 'client/react.js': ['react'] };

const listed = readdirSync(ROOT, { recursive: true }).map((name) => name.replaceAll('\\', '/'));
const modules = Object.fromEntries(
  listed.filter((name) => name.endsWith('.js') && !name.startsWith('built/')).map((name) => [name, codeOf(name)]),
);

/** A library's code is its own business: it stands for itself. */
function codeOf(name) {
  return name.startsWith('vendor/') ? '' : readFileSync(join(ROOT, name), 'utf8');
}

/** The modules that `code` imports, by their names below static/chatflow/js. */
function importsOf(name, code) {
  const addresses = [...code.replace(COMMENT, '').matchAll(IMPORT)].map(([, , address]) => address);
  const own = addresses.filter((address) => !PEERS[name]?.includes(address));
  return own.map((address) => (address.startsWith('.') ? posix.join(posix.dirname(name), address) : address));
}

/** Every import that leaves its room by something else than a door. */
function trespasses(sources) {
  return Object.entries(sources).flatMap(([name, code]) => {
    const room = posix.dirname(name);
    const isAllowed = (other) => posix.dirname(other) === room || DOORS[room]?.includes(other);
    return importsOf(name, code).filter((other) => !isAllowed(other)).map((other) => `${name} -> ${other}`);
  });
}

/** The import circle that a walk from `name` runs into, or null. */
function circle(name, path = []) {
  if (path.includes(name)) return [...path, name].join(' -> ');
  for (const other of importsOf(name, modules[name])) {
    const found = circle(other, [...path, name]);
    if (found) return found;
  }
  return null;
}

describe('the rooms', () => {
  test('each module stands in one of them; outside is the entry alone', () => {
    const rooms = new Set(Object.keys(modules).map((name) => posix.dirname(name)));
    assert.deepEqual([...rooms].sort(), ['.', 'client', 'development', 'operations', 'page', 'vendor']);
    assert.deepEqual(Object.keys(modules).filter((name) => !name.includes('/')), [ENTRY]);
  });

  test('the client imports nothing of the page, and the page the client by its entry only', () => {
    assert.deepEqual(trespasses(modules), []);
  });

  test('a trespass is seen, however it is written', () => {
    const ways = [`import { a } from '../page/dom.js';`, `import '../page/dom.js';`, `export * from "../page/dom.js";`, 'await import(`../page/dom.js`);'];
    for (const code of ways) {
      assert.deepEqual(trespasses({ 'client/x.js': code }), ['client/x.js -> page/dom.js'], code);
    }
    assert.deepEqual(trespasses({ 'page/x.js': `import '../client/errors.js';` }), ['page/x.js -> client/errors.js']);
    assert.deepEqual(trespasses({ 'client/x.js': `import 'lodash';` }), ['client/x.js -> lodash']);
  });

  test('every import leads to a module, and none in a circle', () => {
    for (const [name, code] of Object.entries(modules)) {
      for (const other of importsOf(name, code)) assert.ok(other in modules, `${name} -> ${other}`);
      assert.equal(circle(name), null);
    }
  });
});
