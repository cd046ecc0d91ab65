import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { dayOf } from '../../../static/chatflow/js/page/days.js';
import { installDocument } from '../fakes.mjs';

const NOW = new Date(2026, 10, 29, 1, 0);

beforeEach(() => {
  installDocument();
  document.documentElement.lang = 'en';
});

describe('days', () => {
  const CASES = [
    [new Date(2026, 10, 29, 0, 5), 'Today'],
    [new Date(2026, 10, 28, 23, 59), 'Yesterday'],
    [new Date(2026, 10, 23), 'The last seven days'],
    [new Date(2026, 10, 22), 'November'],
    [new Date(2025, 10, 22), 'November 2025'],
    [new Date(2026, 10, 30), 'Today'],
  ];
  for (const [date, day] of CASES) {
    test(`${date.toDateString()} is ${day}`, () => assert.equal(dayOf(date, NOW), day));
  }
});
