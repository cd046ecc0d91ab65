/**
 * Builds what browsers load: copies the libraries into static/js/vendor, with their licences, and puts the modules
 * of each page together in static/js/built. `make bundle` runs it; both folders are committed, so that a checkout
 * runs without Node. tests/js/bundle.test.mjs says when they are out of date.
 */

import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const SCRIPTS = join(ROOT, 'static/js');
const ENTRIES = ['page/chat-page.js', 'page/document-page.js', 'page/example.js', 'page/site.js'];
// Package, its ES module, and the name that it has here.
const LIBRARIES = [
  ['marked', 'lib/marked.esm.js', 'marked.js'],
  ['dompurify', 'dist/purify.es.mjs', 'purify.js'],
  ['@highlightjs/cdn-assets', 'es/highlight.min.js', 'highlight.js'],
];

/** The names of the modules that the pages are built of, and a hash over all that they say. */
export function sources(folder = SCRIPTS) {
  const rooms = ['client', 'page', 'vendor'];
  const names = rooms.flatMap((room) => readdirSync(join(folder, room)).map((name) => `${room}/${name}`));
  const modules = ['async-chat.js', ...names.filter((name) => name.endsWith('.js'))].sort();
  const hash = createHash('sha256');
  for (const name of modules) hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

function vendor() {
  const folder = join(SCRIPTS, 'vendor');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const versions = {};
  for (const [name, module, file] of LIBRARIES) {
    const home = join(ROOT, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(home, 'package.json')));
    const code = readFileSync(join(home, module), 'utf8').replace(/\n\/\/# sourceMappingURL=.*\n?$/, '\n');
    writeFileSync(join(folder, file), code);
    const text = readdirSync(home).find((each) => /^licen[sc]e/i.test(each));
    cpSync(join(home, text), join(folder, file.replace('.js', '.LICENSE')));
    versions[file] = { package: name, version, license, sha256: createHash('sha256').update(code).digest('hex') };
  }
  writeFileSync(join(folder, 'versions.json'), `${JSON.stringify(versions, null, 2)}\n`);
}

async function bundle() {
  const { build } = await import('esbuild');
  const outdir = join(SCRIPTS, 'built');
  rmSync(outdir, { recursive: true, force: true });
  // Each by itself: a page loads one file, and what it imports later.
  for (const name of ENTRIES) {
    await build({
      entryPoints: [join(SCRIPTS, name)],
      outdir,
      bundle: true,
      splitting: true,
      format: 'esm',
      target: 'es2022',
      minify: true,
      charset: 'utf8',
      legalComments: 'none',
      chunkNames: 'chunk-[hash]',
      logLevel: 'warning',
    });
  }
  writeFileSync(join(outdir, 'sources.sha256'), `${sources()}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  vendor();
  await bundle();
}
