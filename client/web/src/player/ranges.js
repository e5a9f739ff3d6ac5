// SPDX-License-Identifier: MIT
// Arithmetic on buffered stretches: plain sorted arrays of {start, end} in seconds.

export function fromTimeRanges(ranges) {
  const list = [];
  for (let i = 0; i < ranges.length; i++) list.push({ start: ranges.start(i), end: ranges.end(i) });
  return list;
}

export function endOf(list) {
  return list.length ? list[list.length - 1].end : null;
}

// The stretch that holds `time`; a hair before its start counts as inside.
export function rangeAt(list, time) {
  return list.find((range) => time >= range.start - 0.05 && time < range.end) || null;
}

// Seconds that can be played from `time` without a hole.
export function ahead(list, time) {
  const range = rangeAt(list, time);
  return range ? range.end - Math.max(time, range.start) : 0;
}

// Where to go on when nothing plays at `time`: the start of the next stretch, or null.
export function nextStart(list, time) {
  const next = list.find((range) => range.start > time);
  return next ? next.start : null;
}

// A hole right ahead of `time` (or within so many seconds) with media behind it: where that media starts, or null.
export function holeExit(list, time, within = 0.15) {
  const range = rangeAt(list, time);
  if (range && range.end - time > within) return null;
  return nextStart(list, range ? range.end - 0.001 : time);
}

// What may be thrown away so that `keep` seconds stay behind `time`: an end, or null.
export function trimEnd(list, time, keep) {
  if (!list.length) return null;
  const end = time - keep;
  return end - list[0].start > 1 ? end : null;
}
