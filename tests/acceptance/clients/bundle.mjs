// Makes a script for browsers of the JSX that comes in: it shows the component `Chat`.

import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const show = `
  import { createRoot } from 'react-dom/client';
  const page = document.createElement('div');
  document.body.replaceChildren(page);
  createRoot(page).render(<Chat />);
`;
const { outputFiles } = await build({
  stdin: { contents: readFileSync(0, 'utf8') + show, loader: 'jsx', resolveDir: import.meta.dirname },
  bundle: true,
  format: 'iife',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  write: false,
});
process.stdout.write(outputFiles[0].text);
