/** What browsers load is built of what stands beside it, and the libraries are those that their versions say. */

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { hashOf, hashes } from '../../bin/bundle.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const SCRIPTS = join(ROOT, 'static/chatflow/js');
const read = (name) => readFileSync(join(SCRIPTS, name));

describe('the bundle', () => {
  test('is of the modules as they are: `make bundle`', () => {
    const built = JSON.parse(read('built/sources.json'));
    assert.deepEqual(hashes(Object.keys(built)), built);
  });

  test('the chat page loads at most 60 KB of it, beside the highlighter', () => {
    const sizes = ['early', 'chat-page', 'stream-worker'].map((name) => gzipSync(read(`built/${name}.js`), { level: 9 }).length);
    assert.ok(sizes.reduce((one, other) => one + other) <= 60_000, String(sizes));
  });

  test('the libraries are unchanged, of the versions in package.json, and each has its licence', () => {
    const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json')));
    const versions = JSON.parse(read('vendor/versions.json'));
    const files = readdirSync(join(SCRIPTS, 'vendor')).filter((name) => name.endsWith('.js'));
    assert.deepEqual(Object.keys(versions).sort(), files.sort());
    for (const [file, { package: name, version, sha256 }] of Object.entries(versions)) {
      assert.equal(version, devDependencies[name]);
      assert.equal(hashOf(read(`vendor/${file}`)), sha256, file);
      assert.ok(read(`vendor/${file.replace('.js', '.LICENSE')}`).length > 500);
    }
  });
});
