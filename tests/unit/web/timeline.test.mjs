// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bestOffset } from '../../../client/web/src/player/clock.js';
import { gapsBetween, lessonTime, streamTime } from '../../../client/web/src/player/timeline.js';

const STARTED = 1795312800000;
// Ten seconds, a gap of five, ten more; the playlist knows nothing of the gap but by wall clock.
const PIECES = [
  { start: 0, duration: 5, wallMs: STARTED + 200 },
  { start: 5, duration: 5, wallMs: STARTED + 5200 },
  { start: 10, duration: 10, wallMs: STARTED + 15200 },
];
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-6, a + ' is not ' + b);

test('playing time to lesson time, over a gap', () => {
  near(lessonTime(PIECES, STARTED, 0.2, 0), 0.2);
  near(lessonTime(PIECES, STARTED, 0.2, 9.9), 10.1);
  near(lessonTime(PIECES, STARTED, 0.2, 10), 15.2);
  near(lessonTime(PIECES, STARTED, 0.2, 20), 25.2);
});

test('and back; a moment in the gap is where the stream goes on', () => {
  for (const time of [0.2, 3, 9.99, 16, 25])
    near(lessonTime(PIECES, STARTED, 0.2, streamTime(PIECES, STARTED, 0.2, time)), time);
  near(streamTime(PIECES, STARTED, 0.2, 12), 10);
  near(streamTime(PIECES, STARTED, 0.2, 0), 0);
  near(streamTime(PIECES, STARTED, 0.2, 999), 20);
});

test('without wall clock the first sample says it', () => {
  const plain = PIECES.map((piece) => ({ start: piece.start, duration: piece.duration, wallMs: null }));
  near(lessonTime(plain, STARTED, 0.4, 3), 3.4);
  near(streamTime(plain, STARTED, 0.4, 3.4), 3);
  near(streamTime([], STARTED, 0.4, 0.1), 0);
  near(lessonTime([], STARTED, 0.4, 2), 2.4);
});

test('tells of gaps that playing jumped, not of those that a seek did', () => {
  const gaps = [{ stream: 'main', from_s: 10, to_s: 15 }, { stream: 'slides', from_s: 10, to_s: 15 }];
  assert.equal(gapsBetween(gaps, 'main', 9.9, 15.1).length, 1);
  assert.equal(gapsBetween(gaps, 'main', 2, 30).length, 0);
  assert.equal(gapsBetween(gaps, 'main', 15.1, 9.9).length, 0);
  assert.equal(gapsBetween(gaps, 'main', 11, 11.2).length, 0);
});

test('believes the quickest answer about the clock', () => {
  const sample = (sentMs, receivedMs, serverMs) => ({ sentMs, receivedMs, serverMs, resolutionMs: 0 });
  assert.equal(bestOffset([]), null);
  const best = bestOffset([sample(0, 400, 5350), sample(1000, 1020, 6010), sample(2000, 2900, 8000)]);
  assert.equal(best.offsetMs, 5000);
  assert.equal(best.errorMs, 10);
  assert.equal(bestOffset([sample(0, 40, 25)]).offsetMs, 0, 'within the doubt the clocks agree');
});
