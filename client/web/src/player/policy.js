// SPDX-License-Identifier: MIT
// How close to the newest moment to play, and how to get there. Pure: times come in.
//
// Measured (facts of this design: 100 ms chunks, 0.3 s buffer, 574 ms camera to screen): hurry at
// 1.1 × when more than 0.15 s above the target, jump when more than 1.5 s above it. A machine or a
// link that stalls gets a larger target and gives it back slowly.

export const TARGET_MIN_S = 0.35;
export const TARGET_MAX_S = 2.5;
export const HURRY_ABOVE_S = 0.15;
export const JUMP_ABOVE_S = 1.5;
const STALL_STEP_S = 0.25;
const RELAX_AFTER_MS = 30000;
const RELAX_STEP_S = 0.1;

export function newCatchUp(nowMs) {
  return { target: TARGET_MIN_S, mode: 'steady', calmSinceMs: nowMs };
}

// Playback ran dry.
export function noteStall(state, nowMs) {
  return {
    target: Math.min(TARGET_MAX_S, state.target + STALL_STEP_S),
    mode: 'steady',
    calmSinceMs: nowMs,
  };
}

// `behind`: seconds between the position and the newest media. Gives the next state, the rate to
// play at, and `jump`: seconds behind the newest to seek to, or null.
export function catchUp(state, behind, nowMs) {
  let { target, mode, calmSinceMs } = state;
  if (target > TARGET_MIN_S && nowMs - calmSinceMs >= RELAX_AFTER_MS) {
    target = Math.max(TARGET_MIN_S, target - RELAX_STEP_S);
    calmSinceMs = nowMs;
  }
  if (behind > target + JUMP_ABOVE_S)
    return { state: { target, mode: 'steady', calmSinceMs }, rate: 1, jump: target };
  if (behind > target + HURRY_ABOVE_S) mode = 'hurry';
  else if (behind < target * 0.4) mode = 'linger';
  else if (mode === 'hurry' && behind <= target) mode = 'steady';
  else if (mode === 'linger' && behind >= target * 0.8) mode = 'steady';
  const rate = mode === 'hurry' ? 1.1 : mode === 'linger' ? 0.95 : 1;
  return { state: { target, mode, calmSinceMs }, rate, jump: null };
}

// The follower (slides) keeps to the leader's (teacher's) media time. `error`: follower - leader,
// seconds. Large errors are a seek, small ones a slightly different rate.
export function follow(error, leaderRate) {
  if (Math.abs(error) > 0.6) return { rate: leaderRate, seek: true };
  if (Math.abs(error) < 0.02) return { rate: leaderRate, seek: false };
  const pull = Math.max(-0.2, Math.min(0.2, -error));
  return { rate: Math.max(0.5, leaderRate + pull), seek: false };
}

// Waits between attempts to connect: 1, 2, 4, 8, 15, 15 … seconds, ±20 % so that a whole county
// does not come back in the same instant. `random` in [0, 1).
export function retryDelayMs(attempt, random) {
  const base = Math.min(15, Math.pow(2, Math.max(0, attempt)));
  return Math.round(Math.min(15, base * (0.8 + 0.4 * random)) * 1000);
}
