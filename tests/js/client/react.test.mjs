import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import { test } from 'node:test';
import { mount } from './fake-react.mjs';
import { FakeServer } from './fake-server.mjs';

const at = (path) => new URL(path, import.meta.url).href;
const PACKAGES = {
  react: at('./fake-react.mjs'),
  'async-chat': at('../../../static/js/client/async-chat.js'),
  'async-chat/react': at('../../../static/js/client/react.js'),
};
const LOADER = `const packages = ${JSON.stringify(PACKAGES)};
export const resolve = (name, context, next) => next(packages[name] ?? name, context);`;
register(`data:text/javascript,${encodeURIComponent(LOADER)}`);

test('the hook of docs/frontend.md shows what was said', async () => {
  const server = await new FakeServer().start();
  const page = readFileSync(new URL('../../../docs/frontend.md', import.meta.url), 'utf8');
  const code = page.match(/^```javascript\n(.*?)^```/ms)[1].replace('https://chat.example.com', server.url);
  const { Chat } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  const view = mount(Chat);
  view.render();
  await new Promise((resolve) => setTimeout(resolve, 30));
  const button = view.render().children.find(({ type }) => type === 'button');
  await button.props.onClick();
  const said = view.render().children.filter(({ props }) => props.key !== undefined).map(({ children }) => children[0]);
  assert.deepEqual(said, ['hello', 'Echo: hello']);
  view.unmount();
  await server.stop();
});

test('it has at most 60 lines', () => {
  assert.ok(readFileSync(new URL(PACKAGES['async-chat/react']), 'utf8').split('\n').length <= 61);
});
