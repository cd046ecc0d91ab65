import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { mayLoad } from '../../../static/chatflow/js/page/image-places.js';
import { installDocument } from '../fakes.mjs';

beforeEach(() => {
  installDocument();
  const places = { imageHosts: 'images.test', imagePaths: '/ai-demo/knowledge/files/ /static/' };
  Object.assign(document.documentElement.dataset, places);
});

describe('an image in a text', () => {
  test('it works', () => {
    for (const url of ['https://chat.test/ai-demo/knowledge/files/1', 'https://chat.test/static/chatflow/favicon.svg', 'https://images.test/a.png?b']) {
      assert.ok(mayLoad(url), url);
    }
  });

  test('it makes the browser ask for nothing else of this site, nor for another host', () => {
    for (const path of ['accounts/once/?key=1', 'accounts/logout/', 'admin/', 'ai-demo/knowledge/files', 'static/../accounts/once/', 'static/%2e%2e/accounts/once/', 'static/..%2Faccounts/once/', 'STATIC/x', '']) {
      assert.ok(!mayLoad(`https://chat.test/${path}`), path);
    }
    for (const url of ['http://chat.test/admin/', 'https://chat.test:444/static/a', 'https://evil.test/static/a', 'https://images.test.evil.test/']) {
      assert.ok(!mayLoad(url), url);
    }
  });

  test('a page that names no places loads nothing', () => {
    installDocument();
    assert.ok(!mayLoad('https://chat.test/static/chatflow/favicon.svg'));
    assert.ok(!mayLoad('https://images.test/a.png'));
  });
});
