// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ahead, endOf, fromTimeRanges, holeExit, nextStart, rangeAt, trimEnd } from '../../../client/web/src/player/ranges.js';

const LIST = [{ start: 10, end: 14 }, { start: 20, end: 22 }];

test('reads TimeRanges', () => {
  const ranges = { length: 2, start: (i) => [10, 20][i], end: (i) => [14, 22][i] };
  assert.deepEqual(fromTimeRanges(ranges), LIST);
  assert.equal(endOf(LIST), 22);
  assert.equal(endOf([]), null);
});

test('finds the stretch at a time', () => {
  assert.equal(rangeAt(LIST, 12), LIST[0]);
  assert.equal(rangeAt(LIST, 9.97), LIST[0], 'a hair before counts');
  assert.equal(rangeAt(LIST, 14), null);
  assert.equal(rangeAt(LIST, 17), null);
});

test('counts what can be played without a hole', () => {
  assert.equal(ahead(LIST, 12), 2);
  assert.equal(ahead(LIST, 9.96), 4);
  assert.equal(ahead(LIST, 15), 0);
  assert.equal(ahead([], 0), 0);
});

test('leads out of holes', () => {
  assert.equal(nextStart(LIST, 15), 20);
  assert.equal(nextStart(LIST, 21), null);
  assert.equal(holeExit(LIST, 12), null, 'still plenty to play');
  assert.equal(holeExit(LIST, 13.9), 20, 'at the very end of a stretch');
  assert.equal(holeExit(LIST, 16), 20);
  assert.equal(holeExit(LIST, 5), 10, 'before everything');
  assert.equal(holeExit(LIST, 21.95), null, 'nothing behind the newest');
  assert.equal(holeExit([], 3), null);
});

test('trims what is old, not for every crumb', () => {
  assert.equal(trimEnd(LIST, 21, 10), null, 'under a second is left');
  assert.equal(trimEnd(LIST, 22, 10), 12);
  assert.equal(trimEnd([], 22, 10), null);
});
