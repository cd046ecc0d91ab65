/** Lets a test import what a reader's project would, by name. */

import { register } from 'node:module';

const at = (path) => new URL(path, import.meta.url).href;
const CLIENT = '../../../static/chatflow/js/client/';
export const PACKAGES = {
  react: at('./fake-react.mjs'),
  'async-chat': at(`${CLIENT}async-chat.js`),
  'async-chat/react': at(`${CLIENT}react.js`),
};
const LOADER = `const packages = ${JSON.stringify(PACKAGES)};
export const resolve = (name, context, next) => next(packages[name] ?? name, context);`;
register(`data:text/javascript,${encodeURIComponent(LOADER)}`);

/** Run a module that stands in a page, with other words in the place of some. */
export function runModule(code, replacements) {
  const text = Object.entries(replacements).reduce((before, [from, to]) => before.replaceAll(from, to), code);
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}
