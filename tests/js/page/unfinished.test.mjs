import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { finished } from '../../../static/chatflow/js/page/unfinished.js';

const CASES = {
  'open marks are closed': [
    ['some **bold', 'some **bold**'],
    ['some **bold*', 'some **bold**'],
    ['a `code', 'a `code`'],
    ['~~gone', '~~gone~~'],
    ['a **b** c', 'a **b** c'],
  ],
  'a mark that says nothing yet waits': [
    ['text **', 'text '],
    ['a `', 'a '],
    ['Title\n-', 'Title\n'],
    ['one\n\n#', 'one\n\n'],
    ['one\n2.', 'one\n'],
    ['``', ''],
    ['text\n```py', 'text\n'],
  ],
  'a link is its label until its address is there': [
    ['see [the st', 'see the st'],
    ['see [the standard](https://exam', 'see the standard'],
    ['see [it](https://a.example)', 'see [it](https://a.example)'],
    ['see ![a pict', 'see '],
    ['see ![a picture](https://evil', 'see '],
  ],
  'a table waits for the line below its head': [
    ['Look:\n\n| a | b |', 'Look:\n\n'],
    ['Look:\n\n| a | b |\n| --', 'Look:\n\n'],
    ['| a | b |\n| --- | --- |\n| 1', '| a | b |\n| --- | --- |\n| 1'],
  ],
  'code is left as it is': [
    ['```js\nlet a = `x', '```js\nlet a = `x'],
    ['```\n| a |\n-', '```\n| a |\n-'],
    ['```\na\n```\nthen **b', '```\na\n```\nthen **b**'],
  ],
  'and so is plain text': [
    ['1 2 3', '1 2 3'],
    ['2 * 3 = 6', '2 * 3 = 6'],
    ['', ''],
  ],
};

describe('a text that is still written', () => {
  for (const [name, cases] of Object.entries(CASES)) {
    test(name, () => {
      for (const [text, shown] of cases) assert.equal(finished(text), shown, JSON.stringify(text));
    });
  }
});
