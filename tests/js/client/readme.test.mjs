/** The package's README works, for somebody who has nothing else. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FakeServer, jobOf } from './fake-server.mjs';
import { runModule } from './packages.mjs';

const HOME = new URL('../../../static/chatflow/js/client/', import.meta.url);
const readme = readFileSync(new URL('README.md', HOME), 'utf8');
const scripts = [...readme.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);

test('its first words, and its reload', async (t) => {
  const server = await new FakeServer().start();
  server.frames = jobOf(['on', ' and on']);
  server.active = { job_id: 'workflow_abc', stream_url: `${server.url}/stream`, status_url: `${server.url}/status` };
  const lines = [];
  t.mock.method(console, 'log', (...parts) => lines.push(parts));
  assert.equal(scripts.length, 3);
  await runModule(scripts.slice(0, 2).join('\n'), { 'https://chat.example.com': server.url });
  await server.stop();
  assert.deepEqual(lines, [['Echo: hello', undefined], [0, '', 0], ['so far:', 'on'], ['so far:', 'on and on'], ['on and on']]);
  assert.equal(server.requests[0].headers.authorization, 'Bearer YOUR_TOKEN');
});

test('what it and package.json name is in the package', () => {
  const { exports, files, types } = JSON.parse(readFileSync(new URL('package.json', HOME), 'utf8'));
  assert.deepEqual(files, ['*.js', '*.d.ts', 'README.md', 'LICENSE']);
  const named = Object.values(exports).flatMap((each) => (typeof each === 'string' ? each : Object.values(each)));
  for (const name of [...named, types, 'LICENSE']) assert.ok(readFileSync(new URL(name, HOME)).length, name);
  for (const name of Object.keys(exports).filter((each) => !each.endsWith('.json'))) {
    assert.ok(readme.includes(`| \`async-chat${name.slice(1)}\` |`), name);
  }
});
