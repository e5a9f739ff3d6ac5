// SPDX-License-Identifier: MIT
// A stream's own playing time against the lesson's media time. A playlist's pieces carry the wall
// clock (EXT-X-PROGRAM-DATE-TIME), so holes in a recording move nothing out of step.
// Pieces: [{start, duration, wallMs | null}], `start` on the stream's own time, seconds.

export function lessonTime(pieces, startedMs, firstS, time) {
  const piece = pieces.find((p) => time < p.start + p.duration) || pieces[pieces.length - 1];
  if (!piece || piece.wallMs === null || piece.wallMs === undefined) return firstS + time;
  return (piece.wallMs - startedMs) / 1000 + (time - piece.start);
}

// The other way round; a time in a hole gives where the stream goes on.
export function streamTime(pieces, startedMs, firstS, lessonS) {
  if (!pieces.length || pieces[0].wallMs === null || pieces[0].wallMs === undefined) return Math.max(0, lessonS - firstS);
  for (const piece of pieces) {
    const from = (piece.wallMs - startedMs) / 1000;
    if (lessonS < from + piece.duration) return piece.start + Math.max(0, lessonS - from);
  }
  const last = pieces[pieces.length - 1];
  return last.start + last.duration;
}

// The gaps of one stream that its playing has just jumped over: they fill the way between two
// moments but for a second or two; a seek over them is no such thing. Pure.
export function gapsBetween(gaps, stream, fromS, toS) {
  const inside = (gap) => gap.stream === stream && gap.from_s >= fromS - 0.5 && gap.to_s <= toS + 0.5;
  return gaps.filter((gap) => inside(gap) && toS - fromS < gap.to_s - gap.from_s + 2);
}
