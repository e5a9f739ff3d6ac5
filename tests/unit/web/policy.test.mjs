// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  HASTE_ABOVE_S, HURRY_ABOVE_S, JUMP_ABOVE_S, TARGET_FAR_S, TARGET_MAX_S, TARGET_MIN_S, catchUp, floorOf, follow, newCatchUp, newSlidesRule,
  noteStall, noteWeak, retryDelayMs, slidesRule, worseOf,
} from '../../../client/web/src/player/policy.js';

test('plays at rate 1 near the target', () => {
  const step = catchUp(newCatchUp(0), TARGET_MIN_S, 0);
  assert.equal(step.rate, 1);
  assert.equal(step.jump, null);
});

test('hurries above the target until it is reached again', () => {
  let step = catchUp(newCatchUp(0), TARGET_MIN_S + HURRY_ABOVE_S + 0.01, 0);
  assert.equal(step.rate, 1.1);
  step = catchUp(step.state, TARGET_MIN_S + 0.05, 250);
  assert.equal(step.rate, 1.1, 'goes on inside the band');
  step = catchUp(step.state, TARGET_MIN_S, 500);
  assert.equal(step.rate, 1);
});

test('jumps when far behind, to the target', () => {
  const step = catchUp(newCatchUp(0), TARGET_MIN_S + JUMP_ABOVE_S + 0.01, 0);
  assert.equal(step.jump, TARGET_MIN_S);
  assert.equal(step.rate, 1);
  assert.equal(catchUp(newCatchUp(0), TARGET_MIN_S + JUMP_ABOVE_S - 0.01, 0).jump, null);
});

test('slows down a little when the buffer runs low, and only then', () => {
  let step = catchUp(newCatchUp(0), TARGET_MIN_S * 0.3, 0);
  assert.equal(step.rate, 0.95);
  step = catchUp(step.state, TARGET_MIN_S * 0.9, 250);
  assert.equal(step.rate, 1);
});

test('a stall raises the target, calm lowers it, both within bounds', () => {
  let state = newCatchUp(0);
  for (let i = 0; i < 50; i++) state = noteStall(state, 0);
  assert.equal(state.target, TARGET_MAX_S);
  assert.equal(catchUp(state, state.target, 29999).state.target, TARGET_MAX_S);
  for (let at = 30000; at < 60 * 60000; at += 30000) state = catchUp(state, state.target, at).state;
  assert.equal(state.target, TARGET_MIN_S);
});

test('played against a simulated feed it stays between dry and far behind', () => {
  // 100 ms chunks that arrive with 0–150 ms of jitter, ticks of 250 ms, ten minutes.
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  let state = newCatchUp(0);
  let position = 0;
  let rate = 1;
  let dry = 0;
  const lags = [];
  for (let ms = 2000; ms < 600000; ms += 50) {
    const end = Math.floor((ms - random() * 150) / 100) / 10;
    position = Math.min(end, position + 0.05 * rate);
    if (position === end) dry++;
    if (ms % 250) continue;
    const step = catchUp(state, end - position, ms);
    state = step.state;
    rate = step.rate;
    if (step.jump !== null) position = end - step.jump;
    if (ms > 20000) lags.push(end - position);
  }
  assert.equal(dry, 0);
  assert.ok(Math.max(...lags) < TARGET_MIN_S + HURRY_ABOVE_S + 0.35, String(Math.max(...lags)));
});

test('a far relay asks for more distance, a near one for the least', () => {
  assert.equal(floorOf(null), TARGET_MIN_S);
  assert.equal(floorOf(4), TARGET_MIN_S);
  assert.equal(floorOf(60), TARGET_FAR_S);
  const step = catchUp(newCatchUp(0), TARGET_MIN_S, 0, TARGET_FAR_S);
  assert.equal(step.state.target, TARGET_FAR_S);
  assert.equal(step.rate, 0.95, 'what is missing is gained slowly');
  assert.equal(catchUp(step.state, TARGET_MIN_S, 250, TARGET_MIN_S).state.target, TARGET_MIN_S, 'nothing was learnt');
});

test('a weak line gets the most and gives it back slowly', () => {
  let state = noteWeak(newCatchUp(0), 0);
  assert.equal(catchUp(state, 1, 0).state.target, TARGET_MAX_S);
  assert.equal(catchUp(state, 1, 0).rate, 0.95);
  for (let at = 0; at <= 60000; at += 250) state = catchUp(state, state.target, at).state;
  assert.ok(state.target > TARGET_MAX_S - 0.3 && state.target < TARGET_MAX_S);
});

test('sound that is there is played, faster, not jumped over', () => {
  const late = catchUp(newCatchUp(0), TARGET_MIN_S + HASTE_ABOVE_S + 3, 0);
  assert.equal(late.jump, null);
  assert.equal(late.rate, 1.25);
  assert.equal(catchUp(late.state, TARGET_MIN_S + 0.5, 250).rate, 1.25);
  assert.equal(catchUp(late.state, TARGET_MIN_S, 250).rate, 1);
});

test('slides wait while the sound alone is in need, longer after each try', () => {
  let rule = slidesRule(newSlidesRule(), 'low', 0.1, 0);
  assert.equal(rule.paused, false, 'not while there are pictures');
  rule = slidesRule(rule, 'audio', null, 0);
  assert.equal(rule.paused, false, 'nor before it plays');
  rule = slidesRule(rule, 'audio', 0.5, 0);
  assert.equal(rule.paused, true);
  const backAfter = (from) => {
    for (let at = from; at < from + 200000; at += 250) {
      rule = slidesRule(rule, 'audio', 2, at);
      if (!rule.paused) return at - from;
    }
    return Infinity;
  };
  const first = backAfter(1000);
  rule = slidesRule(rule, 'audio', 0.5, 30000);
  assert.equal(rule.paused, true);
  assert.ok(backAfter(31000) >= 2 * first && first >= 10000);
  rule = slidesRule({ ...rule, paused: true }, 'low', 0.5, 100000);
  assert.equal(rule.paused, false, 'with a picture they come at once');
});

test('the lesser of two renditions', () => {
  assert.equal(worseOf('main', 'low'), 'low');
  assert.equal(worseOf('audio', 'low'), 'audio');
});

test('the follower seeks over large errors and leans on small ones', () => {
  assert.deepEqual(follow(0.01, 1), { rate: 1, seek: false });
  assert.equal(follow(0.7, 1).seek, true);
  assert.equal(follow(-0.7, 1).seek, true);
  assert.ok(follow(0.1, 1).rate < 1, 'ahead: slower');
  assert.ok(follow(-0.1, 1.1).rate > 1.1, 'behind: faster than the leader');
  assert.ok(follow(0.5, 0.5).rate >= 0.5);
});

test('following converges', () => {
  let error = 0.55;
  for (let i = 0; i < 60; i++) error += (follow(error, 1).rate - 1) * 0.25;
  assert.ok(Math.abs(error) < 0.04, String(error));
});

test('waits 1, 2, 4, 8, 15 seconds, give or take a fifth, never longer', () => {
  const middle = [0, 1, 2, 3, 4, 5, 40].map((attempt) => retryDelayMs(attempt, 0.5));
  assert.deepEqual(middle, [1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  for (let attempt = 0; attempt < 9; attempt++) {
    assert.ok(retryDelayMs(attempt, 0) >= 800);
    assert.ok(retryDelayMs(attempt, 0.999) <= 15000);
  }
});
