// SPDX-License-Identifier: MIT
// Puts pieces into one <video> by Media Source Extensions: a bounded queue before the SourceBuffer,
// changes of format, removal of what was played.
import { fromTimeRanges, trimEnd } from './ranges.js';

const QUEUE_BYTES_MAX = 24 * 1024 * 1024;
const QUEUE_PIECES_MAX = 600;
const KEEP_BEHIND_S = 10;

export function canPlay(mime) {
  return !!window.MediaSource && MediaSource.isTypeSupported(mime);
}

function kindOf(mime) {
  return mime.split(';')[0];
}

function sameBytes(a, b) {
  const left = new Uint8Array(a);
  const right = new Uint8Array(b);
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

// on: {failed(reason)}: nothing more will play until reset(); appended(): more is buffered.
export class Sink {
  constructor(video, on) {
    this.video = video;
    this.on = on;
    this.queue = [];
    this.queueBytes = 0;
    this.mime = null;
    this.source = null;
    this.buffer = null;
    this.failed = false;
    this.finishing = false;
    this.address = null;
    this.latest = null; // the newest initialisation segment
    this.onError = () => this.fail('decode');
    video.addEventListener('error', this.onError);
  }

  // From sound alone to picture and sound, or back: only anew, the caller finds its place again. True if so.
  init(mime, data) {
    const anew = !!this.source && kindOf(mime) !== kindOf(this.mime);
    if (anew) this.reset();
    this.put(mime, data);
    return anew;
  }

  put(mime, data) {
    // Appended again it would make the decoder wait for a keyframe, and a resumed feed has none.
    if (this.source && this.latest && mime === this.latest.mime && sameBytes(data, this.latest.data)) return;
    if (!this.source) this.open(mime);
    this.latest = { mime, data };
    this.add(this.latest);
  }

  // What comes next begins before the end of what is there: told beforehand, or the first of it, be it
  // sound, makes the browser drop pictures up to the next keyframe.
  cut() {
    if (this.source) this.add({ cut: true, mime: null, data: new ArrayBuffer(0) });
  }

  // Nothing more comes: play out what is there.
  finish() {
    this.finishing = true;
    this.pump();
  }

  chunk(data) {
    if (this.source) this.add({ mime: null, data });
  }

  add(item) {
    if (this.failed) return;
    this.queue.push(item);
    this.queueBytes += item.data.byteLength;
    if (this.queueBytes > QUEUE_BYTES_MAX || this.queue.length > QUEUE_PIECES_MAX) this.fail('overflow');
    else this.pump();
  }

  open(mime) {
    const source = new MediaSource();
    this.source = source;
    this.mime = mime;
    this.address = URL.createObjectURL(source);
    source.addEventListener('sourceopen', () => {
      if (this.source !== source || this.buffer) return;
      try {
        source.duration = Infinity;
        this.buffer = source.addSourceBuffer(mime);
        this.buffer.mode = 'segments';
      } catch (error) {
        this.fail('format');
        return;
      }
      this.buffer.addEventListener('updateend', () => {
        if (this.source !== source) return;
        this.on.appended();
        this.pump();
      });
      this.buffer.addEventListener('error', () => this.source === source && this.fail('append'));
      this.pump();
    });
    this.video.src = this.address;
  }

  pump() {
    const buffer = this.buffer;
    if (!buffer || buffer.updating || this.failed || this.source.readyState !== 'open') return;
    const end = trimEnd(this.buffered(), this.video.currentTime, KEEP_BEHIND_S);
    try {
      if (end !== null && end > 0) {
        buffer.remove(0, end);
        return;
      }
      while (this.queue.length && this.queue[0].cut) {
        buffer.abort();
        this.queue.shift();
      }
      const item = this.queue[0];
      if (!item) {
        if (this.finishing) this.source.endOfStream();
        return;
      }
      if (item.mime && item.mime !== this.mime) {
        // Who lacks it reads the initialisation segment all the same.
        if (buffer.changeType) buffer.changeType(item.mime);
        this.mime = item.mime;
      }
      buffer.appendBuffer(item.data);
    } catch (error) {
      this.fail(error.name === 'QuotaExceededError' ? 'overflow' : 'append');
      return;
    }
    this.queueBytes -= this.queue.shift().data.byteLength;
  }

  fail(reason) {
    if (this.failed || !this.source) return;
    this.failed = true;
    this.on.failed(reason);
  }

  buffered() {
    try {
      return this.buffer ? fromTimeRanges(this.buffer.buffered) : [];
    } catch (error) {
      return [];
    }
  }

  // Forgets everything; the next init() begins anew.
  reset() {
    if (this.address) URL.revokeObjectURL(this.address);
    this.source = this.buffer = this.mime = this.address = this.latest = null;
    this.queue = [];
    this.queueBytes = 0;
    this.failed = this.finishing = false;
  }

  close() {
    this.reset();
    this.video.removeEventListener('error', this.onError);
    this.video.removeAttribute('src');
    this.video.load();
  }
}
