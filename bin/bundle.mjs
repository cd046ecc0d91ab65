/**
 * Builds what browsers load: copies the libraries into static/chatflow/js/vendor, with their licences, and puts the modules
 * of each page together in static/chatflow/js/built. `make bundle` runs it; both folders are committed, so that a checkout
 * runs without Node. tests/js/bundle.test.mjs says when they are out of date.
 */

import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const SCRIPTS = join(ROOT, 'static/chatflow/js');
const ENTRIES = ['page/chat-page.js', 'page/document-page.js', 'page/early.js', 'page/example.js', 'page/rich-text.js', 'page/site.js', 'client/stream-worker.js'];
// Package, its ES module, and the name that it has here.
const LIBRARIES = [
  ['marked', 'lib/marked.esm.js', 'marked.js'],
  ['dompurify', 'dist/purify.es.mjs', 'purify.js'],
  ['@highlightjs/cdn-assets', 'es/highlight.min.js', 'highlight.js'],
];

// Marked ends with an instance of all that it can do, which the page has no use for, and which no bundler dares leave out.
const LEAN_MARKED = {
  name: 'lean-marked',
  setup: ({ onLoad }) =>
    onLoad({ filter: /vendor.marked\.js$/ }, ({ path }) => {
      const code = readFileSync(path, 'utf8');
      const [, name] = /(\w+) as Marked,/.exec(code);
      const [parts, rest] = code.split(new RegExp(`var \\w+=new ${name};`));
      const used = rest.match(/\w+ as (Lexer|Parser|Tokenizer)\b/g);
      return { contents: `${parts}export{${used}};` };
    }),
};

/** The hash of each module, by its name below static/chatflow/js. */
export function hashes(names) {
  return Object.fromEntries(names.map((name) => [name, hashOf(readFileSync(join(SCRIPTS, name)))]));
}

export const hashOf = (content) => createHash('sha256').update(content).digest('hex');

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
    versions[file] = { package: name, version, license, sha256: hashOf(code) };
  }
  writeFileSync(join(folder, 'versions.json'), `${JSON.stringify(versions, null, 2)}\n`);
}

async function bundle() {
  const { build } = await import('esbuild');
  const { minify } = await import('terser');
  const outdir = join(SCRIPTS, 'built');
  rmSync(outdir, { recursive: true, force: true });
  // Each by itself: a page loads one file, and what it imports later.
  const inputs = new Set();
  for (const name of ENTRIES) {
    const { metafile, outputFiles } = await build({
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
      metafile: true,
      plugins: [LEAN_MARKED],
      absWorkingDir: SCRIPTS,
      write: false,
    });
    mkdirSync(outdir, { recursive: true });
    for (const { path, text } of outputFiles) {
      // It finds a thirtieth more to leave out.
      const { code } = await minify(text, { module: true, compress: { passes: 3, keep_fargs: false, inline: 1 } });
      writeFileSync(path, code);
    }
    for (const input of Object.keys(metafile.inputs)) inputs.add(input);
  }
  // By these tests know whether it is out of date.
  writeFileSync(join(outdir, 'sources.json'), `${JSON.stringify(hashes([...inputs].sort()), null, 2)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  vendor();
  await bundle();
}
