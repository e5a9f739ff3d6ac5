// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPiece } from '../../../client/web/src/player/boxes.js';
import { Still, readTracks } from '../../../client/web/src/player/still.js';

const u32 = (n) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
const u64 = (n) => u32(Math.floor(n / 4294967296)).concat(u32(n >>> 0));
const word = (text) => Array.from(text, (c) => c.charCodeAt(0));
const box = (type, ...parts) => {
  const body = parts.flat();
  return u32(body.length + 8).concat(word(type), body);
};
const buffer = (...boxes) => Uint8Array.from(boxes.flat()).buffer;

const trak = (id, kind, scale, format) => box('trak', box('tkhd', u32(0), u32(0), u32(0), u32(id)),
  box('mdia', box('mdhd', u32(0), u32(0), u32(0), u32(scale)), box('hdlr', u32(0), u32(0), word(kind)),
    box('minf', box('stbl', box('stsd', u32(0), u32(1), format)))));
const both = (sound = [7, 7]) => buffer(box('ftyp'), box('moov', trak(1, 'vide', 90000, [9]), trak(2, 'soun', 48000, sound)));
const soundOnly = (sound = [7, 7]) => buffer(box('ftyp'), box('moov', trak(1, 'soun', 48000, sound)));

const KEY = 0x02000000;
const OTHER = 0x01010000;
// Runs: {track, start, samples: [[duration, flags, bytes]]}
function chunk(sequence, ...runs) {
  const trafs = (offset) => runs.map((run) => {
    const samples = run.samples.flatMap(([duration, flags, bytes]) => u32(duration).concat(u32(bytes.length), u32(flags), u32(0)));
    const at = offset;
    offset += run.samples.reduce((sum, sample) => sum + sample[2].length, 0);
    return box('traf', box('tfhd', u32(0x20000), u32(run.track)), box('tfdt', u32(0x01000000), u64(run.start)),
      box('trun', u32(0x01000f01), u32(run.samples.length), u32(at), samples));
  });
  const moof = (offset) => box('moof', box('mfhd', u32(0), u32(sequence)), ...trafs(offset));
  const data = runs.flatMap((run) => run.samples.flatMap((sample) => sample[2]));
  return buffer(moof(moof(0).length + 8), box('mdat', data));
}

const IDR = [0, 0, 0, 3, 0x65, 1, 2];
const picture = (start) => chunk(1, { track: 1, start, samples: [[3600, KEY, IDR], [3600, OTHER, [0, 0, 0, 1, 0x41]]] },
  { track: 2, start: 0, samples: [[1024, KEY, [5]]] });
const sound = (start) => chunk(9, { track: 1, start, samples: [[1024, KEY, [1, 2, 3]], [1024, KEY, [4, 5]]] });

function standing() {
  const still = new Still();
  still.takeInit('video/mp4', both());
  still.takeChunk(picture(90000));
  return still;
}

test('knows the tracks of an initialisation segment', () => {
  const { picture: video, sound: audio } = readTracks(both());
  assert.deepEqual([video.id, video.timescale, audio.id, audio.timescale], [1, 90000, 2, 48000]);
  assert.deepEqual(readTracks(new ArrayBuffer(3)), { picture: undefined, sound: undefined });
});

test('a picture stands only with a keyframe, and under the same sound', () => {
  const still = new Still();
  assert.equal(still.fits(soundOnly()), false);
  still.takeInit('video/mp4', both());
  assert.equal(still.fits(soundOnly()), false, 'no keyframe yet');
  still.takeChunk(chunk(1, { track: 1, start: 0, samples: [[3600, OTHER, IDR]] }));
  assert.equal(still.fits(soundOnly()), false, 'no keyframe');
  still.takeChunk(picture(90000));
  assert.equal(still.fits(soundOnly()), true);
  assert.equal(still.fits(soundOnly([8])), false, 'other sound');
  still.refused = true;
  assert.equal(still.fits(soundOnly()), false);
});

test('sound gets the keyframe, from where the pictures end to where it ends', () => {
  const still = standing(); // pictures until 1.08 s
  const joined = still.join(sound(52800), 9); // 1.1 s
  const piece = readPiece(joined);
  assert.equal(piece.sequence, 9);
  assert.deepEqual(piece.runs, [{ track: 1, decodeTicks: 97200 }, { track: 2, decodeTicks: 52800 }]);
  const text = Array.from(new Uint8Array(joined)).join();
  assert.ok(text.endsWith([0, 0, 0, 2, 9, 0xf0, ...IDR, 1, 2, 3, 4, 5].join()), 'delimiter, picture, sound');
  // Where the data is said to be there it is, in a reader of its own kind.
  const again = new Still();
  again.takeInit('video/mp4', both());
  again.takeChunk(joined);
  assert.ok(Math.abs(again.endS - (52800 + 2048) / 48000) < 1e-4);
  assert.deepEqual(Array.from(again.keyframe).slice(-IDR.length), IDR);
  assert.equal(readPiece(still.join(sound(54848), 10)).runs[0].decodeTicks, Math.round((54848 / 48000) * 90000), 'goes on without a hole');
});

test('pictures that end behind the sound, or long before it, do not move it', () => {
  assert.equal(readPiece(standing().join(sound(48000), 9)).runs[0].decodeTicks, 90000);
  assert.equal(readPiece(standing().join(sound(480000), 9)).runs[0].decodeTicks, 900000);
});

test('refuses what is not of its form, and never throws', () => {
  const still = standing();
  const whole = sound(52800);
  assert.equal(still.join(new ArrayBuffer(0), 1), null);
  for (let size = 1; size < whole.byteLength; size++) assert.equal(still.join(whole.slice(0, size), 1), null);
  const frames = picture(90000);
  for (let size = 1; size < frames.byteLength; size++) new Still().takeChunk(frames.slice(0, size));
  const lying = new Uint8Array(sound(52800));
  lying.set(u32(2000), Array.from(lying).join().split([116, 114, 117, 110].join())[0].split(',').length + 7);
  assert.equal(still.join(lying.buffer, 1), null, 'more samples than there are');
});
