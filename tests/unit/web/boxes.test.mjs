// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureOrigin, readPiece } from '../../../client/web/src/player/boxes.js';

const u32 = (n) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
const u64 = (n) => u32(Math.floor(n / 4294967296)).concat(u32(n >>> 0));
const box = (type, ...parts) => {
  const body = parts.flat();
  return u32(body.length + 8).concat(Array.from(type, (c) => c.charCodeAt(0)), body);
};
const buffer = (...boxes) => Uint8Array.from(boxes.flat()).buffer;

const NTP_2026 = 2208988800 + 1795312800; // 2026-11-22T02:00:00Z
const prft = box('prft', u32(0x01000018), u32(1), u32(NTP_2026), u32(0x80000000), u64(90000 * 7));
const moof = box('moof', box('mfhd', u32(0), u32(41)),
  box('traf', box('tfhd', u32(0x20000), u32(1)), box('tfdt', u32(0x01000000), u64(90000 * 7)), box('trun', u32(0), u32(0))),
  box('traf', box('tfhd', u32(0x20000), u32(2)), box('tfdt', u32(0), u32(48000 * 7)), box('trun', u32(0), u32(0))));
const mdat = box('mdat', [1, 2, 3, 4]);

test('knows an initialisation segment', () => {
  assert.deepEqual(readPiece(buffer(box('ftyp', u32(0)), box('moov', box('mvhd', u32(0))))), { kind: 'init' });
});

test('reads sequence, media times and capture time of a chunk', () => {
  const piece = readPiece(buffer(prft, moof, mdat));
  assert.equal(piece.kind, 'chunk');
  assert.equal(piece.sequence, 41);
  assert.deepEqual(piece.runs, [{ track: 1, decodeTicks: 630000 }, { track: 2, decodeTicks: 336000 }]);
  assert.deepEqual(piece.prft, { track: 1, wallMs: 1795312800500, mediaTicks: 630000 });
});

test('says when media time zero was captured', () => {
  const piece = readPiece(buffer(prft, moof, mdat));
  assert.equal(captureOrigin(piece, { 1: 90000, 2: 48000 }), 1795312800500 - 7000);
  assert.equal(captureOrigin(piece, { 2: 48000 }), null, 'unknown track');
  assert.equal(captureOrigin(readPiece(buffer(moof, mdat)), { 1: 90000 }), null, 'no prft');
});

test('reads 64-bit sizes and times beyond 32 bits', () => {
  const wide = u32(1).concat(Array.from('mdat', (c) => c.charCodeAt(0)), u64(20), [0, 0, 0, 0]);
  const late = box('moof', box('mfhd', u32(0), u32(5)), box('traf', box('tfhd', u32(0), u32(1)), box('tfdt', u32(0x01000000), u64(6e9))));
  assert.equal(readPiece(buffer(late, wide)).runs[0].decodeTicks, 6e9);
});

test('refuses what does not fit, and never throws', () => {
  const whole = buffer(prft, moof, mdat);
  assert.equal(readPiece(new ArrayBuffer(0)), null);
  assert.equal(readPiece(buffer(mdat)), null);
  for (let size = 1; size < whole.byteLength; size++) {
    const piece = readPiece(whole.slice(0, size));
    assert.ok(piece === null || piece.kind === 'chunk');
  }
  assert.equal(readPiece(buffer(u32(4).concat([109, 111, 111, 102]))), null, 'a size smaller than its header');
  assert.equal(readPiece(buffer(u32(0xffffffff).concat([109, 111, 111, 102]))), null);
  const many = [];
  for (let i = 0; i < 100; i++) many.push(box('free'));
  assert.equal(readPiece(buffer(...many, moof)), null, 'bounded');
});

test('any byte may be wrong', () => {
  const bytes = new Uint8Array(buffer(prft, moof, mdat));
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0, 1, 127, 255]) {
      const bent = bytes.slice();
      bent[at] = value;
      readPiece(bent.buffer);
    }
  }
});
