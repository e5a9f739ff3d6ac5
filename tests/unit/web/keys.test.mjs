// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../../client/web/src/keys.js';

const RIGHT = [1, 0];
const DOWN = [0, 1];
const UP = [0, -1];
const at = (x, y, w = 100, h = 50) => ({ x, y, w, h });

test('arrows go to the neighbour in their direction', () => {
  const boxes = [at(200, 0), at(400, 0), at(0, 100)];
  assert.equal(nearest(at(0, 0), boxes, RIGHT), 0);
  assert.equal(nearest(at(0, 0), boxes, DOWN), 2);
  assert.equal(nearest(at(400, 0), [at(0, 0), at(200, 0)], [-1, 0]), 1);
});

test('what stands in line wins over what is nearer but aside', () => {
  assert.equal(nearest(at(0, 0), [at(300, 60), at(0, 120)], DOWN), 1);
});

test('a wide card below is reached from a narrow tab', () => {
  assert.equal(nearest(at(500, 0), [at(200, 100, 1000, 400)], DOWN), 0);
});

test('nothing there: nowhere to go', () => {
  assert.equal(nearest(at(0, 0), [at(200, 0)], UP), -1);
  assert.equal(nearest(at(0, 0), [], RIGHT), -1);
});
