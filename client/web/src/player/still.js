// SPDX-License-Identifier: MIT
// The picture that stands while a weak line carries the sound alone. A SourceBuffer cannot lose its
// picture, and another element would have to take over the sound without a gap: so each chunk of sound
// is given the last keyframe once more, and the sound stays where it is.
// Bytes come from outside: what is not of the relay's form (ISO/IEC 14496-12) is null.
import { eachBox, uint64 } from './boxes.js';

const SAMPLES_MAX = 1024;
const KEYFRAME_BYTES_MAX = 1024 * 1024;
// Pictures may end a little before the sound goes on.
const SEAM_S = 1;
const TRUN_FLAGS = 0xf01; // where the data is; of each sample its duration, size, flags and offset
const NOT_KEY = 0x10000;
const KEY_FLAGS = 0x02000000;
const TFHD_FLAGS = 0x020000; // data is found from the moof on
const TRAF_BYTES = 8 + 16 + 20 + 20;
const NAL_DELIMITER = 9;
// Before the same picture once more: a decoder is not to take it for more of the one before.
const DELIMITER = [0, 0, 0, 2, NAL_DELIMITER, 0xf0];

function inside(view, from, to, path, visit) {
  eachBox(view, from, to, (type, at, end) => {
    if (type !== path[0]) return;
    if (path.length === 1) visit(at, end);
    else inside(view, at, end, path.slice(1), visit);
  });
}

function readTrack(view, from, to) {
  const track = { id: 0, kind: '', timescale: 0, format: null };
  inside(view, from, to, ['tkhd'], (at, end) => {
    const place = at + (view.getUint8(at) ? 20 : 12);
    if (place + 4 <= end) track.id = view.getUint32(place);
  });
  inside(view, from, to, ['mdia', 'mdhd'], (at, end) => {
    const place = at + (view.getUint8(at) ? 20 : 12);
    if (place + 4 <= end) track.timescale = view.getUint32(place);
  });
  inside(view, from, to, ['mdia', 'hdlr'], (at, end) => {
    if (at + 12 > end) return;
    for (let i = 8; i < 12; i++) track.kind += String.fromCharCode(view.getUint8(at + i));
  });
  inside(view, from, to, ['mdia', 'minf', 'stbl', 'stsd'], (at, end) => {
    track.format = Array.from(new Uint8Array(view.buffer, at, end - at)).join();
  });
  return track;
}

// {picture: track | undefined, sound: track | undefined}; track: {id, timescale, format}
export function readTracks(buffer) {
  const view = new DataView(buffer);
  const tracks = [];
  inside(view, 0, view.byteLength, ['moov', 'trak'], (at, end) => tracks.push(readTrack(view, at, end)));
  const usable = tracks.filter((track) => track.id && track.timescale && track.format);
  return { picture: usable.find((track) => track.kind === 'vide'), sound: usable.find((track) => track.kind === 'soun') };
}

function readTrun(view, at, end, moof, run) {
  if (end - at < 12 || (view.getUint32(at) & 0xffffff) !== TRUN_FLAGS) return;
  const count = view.getUint32(at + 4);
  if (!count || count > SAMPLES_MAX || end - at < 12 + count * 16) return;
  const data = moof + view.getInt32(at + 8);
  const samples = [];
  let bytes = 0;
  let ticks = 0;
  for (let i = 0; i < count; i++) {
    const place = at + 12 + i * 16;
    const sample = { duration: view.getUint32(place), size: view.getUint32(place + 4), flags: view.getUint32(place + 8), offset: view.getInt32(place + 12) };
    bytes += sample.size;
    ticks += sample.duration;
    samples.push(sample);
  }
  if (data < 0 || data + bytes > view.byteLength) return;
  Object.assign(run, { samples, data, bytes, ticks });
}

// [{track, start (ticks), samples, data (place of the first), bytes, ticks}]
function readRuns(view) {
  const runs = [];
  eachBox(view, 0, view.byteLength, (type, moof, moofEnd) => {
    if (type !== 'moof') return;
    inside(view, moof, moofEnd, ['traf'], (from, to) => {
      const run = { track: 0, start: 0, samples: null };
      inside(view, from, to, ['tfhd'], (at, end) => end - at >= 8 && (run.track = view.getUint32(at + 4)));
      inside(view, from, to, ['tfdt'], (at, end) => {
        if (view.getUint8(at) === 1 && end - at >= 12) run.start = uint64(view, at + 4);
      });
      inside(view, from, to, ['trun'], (at, end) => readTrun(view, at, end, moof - 8, run));
      if (run.samples) runs.push(run);
    });
  });
  return runs;
}

// Writes big-endian numbers one behind the other.
class Writer {
  constructor(bytes) {
    this.bytes = new Uint8Array(bytes);
    this.view = new DataView(this.bytes.buffer);
    this.at = 0;
  }

  u32(...values) {
    for (const value of values) {
      this.view.setUint32(this.at, value);
      this.at += 4;
    }
  }

  u64(value) {
    this.u32(Math.floor(value / 4294967296), value % 4294967296);
  }

  box(size, type) {
    this.u32(size);
    for (let i = 0; i < 4; i++) this.bytes[this.at++] = type.charCodeAt(i);
  }

  copy(bytes) {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }
}

function trafBytes(run) {
  return TRAF_BYTES + run.samples.length * 16;
}

function writeTraf(out, run, data) {
  out.box(trafBytes(run), 'traf');
  out.box(16, 'tfhd');
  out.u32(TFHD_FLAGS, run.track);
  out.box(20, 'tfdt');
  out.u32(0x01000000);
  out.u64(run.start);
  out.box(20 + run.samples.length * 16, 'trun');
  out.u32(0x01000000 | TRUN_FLAGS, run.samples.length, data);
  for (const sample of run.samples) out.u32(sample.duration, sample.size, sample.flags, sample.offset >>> 0);
}

function writeChunk(sequence, parts) {
  const moof = parts.reduce((sum, part) => sum + trafBytes(part.run), 8 + 16);
  const mdat = parts.reduce((sum, part) => sum + part.data.length, 8);
  const out = new Writer(moof + mdat);
  out.box(moof, 'moof');
  out.box(16, 'mfhd');
  out.u32(0, sequence);
  let data = moof + 8;
  for (const part of parts) {
    writeTraf(out, part.run, data);
    data += part.data.length;
  }
  out.box(mdat, 'mdat');
  for (const part of parts) out.copy(part.data);
  return out.bytes.buffer;
}

export class Still {
  constructor() {
    this.init = null; // {mime, data} of picture and sound, whose tracks are kept to
    this.tracks = {};
    this.keyframe = null;
    this.endS = null; // where the pictures end that were taken
    this.refused = false; // a decoder did not like it
  }

  takeInit(mime, data) {
    this.init = { mime, data };
    this.tracks = readTracks(data);
    this.keyframe = null;
  }

  // A chunk with pictures.
  takeChunk(data) {
    const view = new DataView(data);
    const { picture } = this.tracks;
    const run = picture && readRuns(view).find((one) => one.track === picture.id);
    if (!run) return;
    this.endS = (run.start + run.ticks) / picture.timescale;
    const [first] = run.samples;
    if (first.flags & NOT_KEY || first.size < 5 || first.size > KEYFRAME_BYTES_MAX) return;
    // Out of the chunk, which would be kept whole.
    const sample = new Uint8Array(data.slice(run.data, run.data + first.size));
    this.keyframe = new Uint8Array(sample.length + DELIMITER.length);
    this.keyframe.set(DELIMITER);
    this.keyframe.set(sample, DELIMITER.length);
    if ((sample[4] & 31) === NAL_DELIMITER) this.keyframe = sample;
  }

  // Whether sound with this initialisation segment can go on under the picture.
  fits(data) {
    const { sound } = readTracks(data);
    const own = this.tracks.sound;
    return !this.refused && !!this.keyframe && !!sound && !!own && sound.format === own.format && sound.timescale === own.timescale;
  }

  // The chunk of sound with the picture over all of it; null if it is no such chunk.
  join(data, sequence) {
    const [sound] = readRuns(new DataView(data));
    if (!sound) return null;
    const { picture, sound: own } = this.tracks;
    const startS = sound.start / own.timescale;
    const endS = (sound.start + sound.ticks) / own.timescale;
    const early = this.endS !== null && this.endS < startS && startS - this.endS < SEAM_S;
    const start = Math.round((early ? this.endS : startS) * picture.timescale);
    const end = Math.round(endS * picture.timescale);
    this.endS = endS;
    const shown = { duration: end - start, size: this.keyframe.length, flags: KEY_FLAGS, offset: 0 };
    return writeChunk(sequence, [
      { run: { track: picture.id, start, samples: [shown] }, data: this.keyframe },
      { run: { ...sound, track: own.id }, data: new Uint8Array(data, sound.data, sound.bytes) },
    ]);
  }
}
