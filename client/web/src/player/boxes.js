// SPDX-License-Identifier: MIT
// Reads what the player needs to know of a piece of fragmented MP4 (ISO/IEC 14496-12): whether it
// is an initialisation segment, its sequence number, media times and capture time.
// Bytes come from outside: everything is bounded, and a malformed piece is null.

const BOXES_MAX = 64;
const NTP_EPOCH_S = 2208988800;

function typeAt(view, at) {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}

// Calls visit(type, start of the body, end) for each box in [from, to). False if they do not fit.
export function eachBox(view, from, to, visit) {
  let at = from;
  for (let n = 0; at < to; n++) {
    if (n === BOXES_MAX || to - at < 8) return false;
    let size = view.getUint32(at);
    let head = 8;
    if (size === 1) {
      if (to - at < 16) return false;
      size = view.getUint32(at + 8) * 4294967296 + view.getUint32(at + 12);
      head = 16;
    }
    if (size < head || size > to - at) return false;
    visit(typeAt(view, at + 4), at + head, at + size);
    at += size;
  }
  return true;
}

// 64 bits as a number; media times stay far below 2^53.
export function uint64(view, at) {
  return view.getUint32(at) * 4294967296 + view.getUint32(at + 4);
}

function readPrft(view, at, end) {
  if (end - at < 20) return null;
  const version = view.getUint8(at);
  if (version === 1 && end - at < 24) return null;
  const seconds = view.getUint32(at + 8) - NTP_EPOCH_S;
  const fraction = view.getUint32(at + 12) / 4294967296;
  return {
    track: view.getUint32(at + 4),
    wallMs: (seconds + fraction) * 1000,
    mediaTicks: version === 1 ? uint64(view, at + 16) : view.getUint32(at + 16),
  };
}

function readTraf(view, from, to) {
  const run = { track: 0, decodeTicks: null };
  eachBox(view, from, to, (type, at, end) => {
    if (type === 'tfhd' && end - at >= 8) run.track = view.getUint32(at + 4);
    if (type === 'tfdt' && end - at >= 8) {
      if (view.getUint8(at) === 1) {
        if (end - at >= 12) run.decodeTicks = uint64(view, at + 4);
      } else {
        run.decodeTicks = view.getUint32(at + 4);
      }
    }
  });
  return run;
}

// {kind: 'init'} | {kind: 'chunk', sequence, runs: [{track, decodeTicks}], prft | null} | null
export function readPiece(buffer) {
  const view = new DataView(buffer);
  const piece = { kind: null, sequence: 0, runs: [], prft: null };
  const fits = eachBox(view, 0, view.byteLength, (type, at, end) => {
    if (type === 'moov') piece.kind = 'init';
    else if (type === 'prft') piece.prft = readPrft(view, at, end);
    else if (type === 'moof') {
      piece.kind = 'chunk';
      eachBox(view, at, end, (inner, from, to) => {
        if (inner === 'mfhd' && to - from >= 8) piece.sequence = view.getUint32(from + 4);
        if (inner === 'traf') piece.runs.push(readTraf(view, from, to));
      });
    }
  });
  if (!fits || !piece.kind) return null;
  if (piece.kind === 'init') return { kind: 'init' };
  return piece;
}

// When media time zero was captured, in wall-clock milliseconds, by this chunk's word; or null.
export function captureOrigin(piece, timescale) {
  const scale = piece.prft && timescale && timescale[piece.prft.track];
  if (!scale) return null;
  return piece.prft.wallMs - (piece.prft.mediaTicks / scale) * 1000;
}
