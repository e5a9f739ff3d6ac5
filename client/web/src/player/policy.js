// SPDX-License-Identifier: MIT
// How close to the newest moment to play, and how to get there. Pure: times come in.
//
// Measured (facts of this design: 100 ms chunks, 0.3 s buffer, 574 ms camera to screen): hurry at
// 1.1 × when more than 0.15 s above the target. A line that may narrow needs what it takes to notice
// and to send less; one that showed itself weak more of it, given back slowly. The sound that is there
// is played: only who is absurdly late jumps over it.

export const TARGET_MIN_S = 0.35;
export const TARGET_FAR_S = 2;
export const TARGET_MAX_S = 2.5;
export const FAR_MS = 20;
export const HURRY_ABOVE_S = 0.15;
export const HASTE_ABOVE_S = 1.5;
export const JUMP_ABOVE_S = 8;
const STALL_STEP_S = 0.25;
const RELAX_AFTER_MS = 30000;
const RELAX_STEP_S = 0.1;

// From the best to the least.
export const RENDITIONS = ['main', 'low', 'audio'];

export function worseOf(a, b) {
  return RENDITIONS.indexOf(a) > RENDITIONS.indexOf(b) ? a : b;
}

// `floorS`: the least distance that this line asks for even when all is well.
export function floorOf(roundTripMs) {
  return roundTripMs !== null && roundTripMs > FAR_MS ? TARGET_FAR_S : TARGET_MIN_S;
}

export function newCatchUp(nowMs, floorS = TARGET_MIN_S) {
  return { target: floorS, learnt: 0, mode: 'steady', calmSinceMs: nowMs };
}

// Playback ran dry.
export function noteStall(state, nowMs) {
  const learnt = Math.min(TARGET_MAX_S, state.target + STALL_STEP_S);
  return { target: learnt, learnt, mode: 'steady', calmSinceMs: nowMs };
}

// The line carries less than the best.
export function noteWeak(state, nowMs) {
  return { ...state, target: TARGET_MAX_S, learnt: TARGET_MAX_S, calmSinceMs: nowMs };
}

function modeOf(mode, behind, target) {
  if (behind > target + HASTE_ABOVE_S) return 'haste';
  if (behind > target + HURRY_ABOVE_S) return mode === 'haste' ? 'haste' : 'hurry';
  if (behind < Math.max(target * 0.4, target - 0.35)) return 'linger';
  if ((mode === 'hurry' || mode === 'haste') && behind <= target) return 'steady';
  if (mode === 'linger' && behind >= Math.max(target * 0.8, target - 0.15)) return 'steady';
  return mode;
}

const RATES = { haste: 1.25, hurry: 1.1, steady: 1, linger: 0.95 };

// `behind`: seconds between the position and the newest media. Gives the next state, the rate to
// play at, and `jump`: seconds behind the newest to seek to, or null.
export function catchUp(state, behind, nowMs, floorS = TARGET_MIN_S) {
  let { learnt, calmSinceMs } = state;
  if (learnt > floorS && nowMs - calmSinceMs >= RELAX_AFTER_MS) {
    learnt -= RELAX_STEP_S;
    calmSinceMs = nowMs;
  }
  const target = Math.max(floorS, learnt);
  if (behind > target + JUMP_ABOVE_S)
    return { state: { target, learnt, mode: 'steady', calmSinceMs }, rate: 1, jump: target };
  const mode = modeOf(state.mode, behind, target);
  return { state: { target, learnt, mode, calmSinceMs }, rate: RATES[mode], jump: null };
}

// Whether the slides share a line that is left with the sound alone: not while that is in need, and not
// again before it has been well for a while, longer after each try that failed.
const SLIDES_NEED_S = 1.5;
const SLIDES_WELL_S = 2;
const SLIDES_WAIT_MS = 10000;
const SLIDES_WAIT_MAX_MS = 80000;

export function newSlidesRule() {
  return { paused: false, wellSinceMs: null, waitMs: SLIDES_WAIT_MS };
}

// `bufferS`: of the sound; null where it does not play yet.
export function slidesRule(rule, rendition, bufferS, nowMs) {
  if (rendition !== 'audio') return newSlidesRule();
  if (!rule.paused) {
    const need = bufferS !== null && bufferS < SLIDES_NEED_S;
    return need ? { ...rule, paused: true, wellSinceMs: null } : rule;
  }
  if (bufferS === null || bufferS < SLIDES_WELL_S) return { ...rule, wellSinceMs: null };
  if (rule.wellSinceMs === null) return { ...rule, wellSinceMs: nowMs };
  if (nowMs - rule.wellSinceMs < rule.waitMs) return rule;
  return { paused: false, wellSinceMs: null, waitMs: Math.min(SLIDES_WAIT_MAX_MS, rule.waitMs * 2) };
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
