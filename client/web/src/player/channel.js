// SPDX-License-Identifier: MIT
// One stream of the live room: its feed, its sink and its <video>, and the ladder of remedies when
// the picture stands still.
import { captureOrigin } from './boxes.js';
import { Feed } from './feed.js';
import { catchUp, newCatchUp, noteStall } from './policy.js';
import { ahead, endOf, holeExit, rangeAt } from './ranges.js';
import { Sink, canPlay } from './sink.js';

const NUDGE_AFTER_MS = 1500;
const RESET_AFTER_MS = 5000;
const SEEK_MS = 800;
const STALL_EVERY_MS = 2000;
// A feed goes back by less than the relay's history when it begins anew from a keyframe.
const SAME_TIMELINE = 100;
// Media comes, but none that leads on from here: begin anew.
const LOST_AFTER_MS = 8000;
// Right after the start the rest of the burst is still coming in; being late then is worth a jump.
const ARRIVING_MS = 1500;
const ARRIVING_ABOVE_S = 0.5;

export class Channel {
  constructor(name, video, urlOf, probe, onChange) {
    this.name = name;
    this.video = video;
    this.onChange = onChange;
    this.state = null; // of the stream, by the relay's word
    this.format = null;
    this.unsupported = null;
    this.originMs = null;
    this.positioned = false;
    this.newest = 0; // sequence number of the newest chunk
    this.pace = newCatchUp(performance.now());
    this.lost = 0; // chunks that the relay could not give
    this.resets = 0;
    this.stalls = 0;
    this.stalledMs = this.soughtMs = 0;
    this.movedMs = performance.now();
    this.position = 0;
    this.wanted = true;
    this.sink = new Sink(video, {
      appended: () => this.settle(),
      failed: () => this.reset(),
    });
    this.feed = new Feed(urlOf, probe, {
      status: () => onChange(),
      state: (message) => this.takeState(message),
      init: (message) => (this.pending = message),
      piece: (buffer, piece) => this.takePiece(buffer, piece),
      gap: (message) => (this.lost += Math.max(0, Math.min(1e6, message.to - message.from + 1 || 0))),
    });
    this.onWaiting = () => this.noteStall();
    video.addEventListener('waiting', this.onWaiting);
  }

  start() {
    this.feed.start();
  }

  close() {
    clearTimeout(this.timer);
    this.feed.stop();
    this.video.removeEventListener('waiting', this.onWaiting);
    this.sink.close();
  }

  takeState(message) {
    this.state = message.state;
    if (this.state === 'ended') this.sink.finish();
    const lesson = message.lesson && message.lesson.id ? message.lesson : null;
    // Another lesson at this name, or a relay that has lost its memory: its time begins at zero.
    const other = lesson && this.lesson && lesson.id !== this.lesson.id;
    if (lesson) this.lesson = lesson;
    if (other && this.feed.newest !== null) this.reset();
    this.onChange();
  }

  takePiece(buffer, piece) {
    if (piece.kind === 'init') {
      const mime = this.pending && this.pending.mime;
      if (!mime) return;
      this.format = this.pending;
      this.unsupported = canPlay(mime) ? null : mime;
      if (!this.unsupported) this.sink.init(mime, buffer);
      return;
    }
    // A relay that began anew counts, and tells the time, from the start.
    if (piece.sequence < this.newest - SAME_TIMELINE) {
      this.reset();
      return;
    }
    this.newest = piece.sequence;
    const origin = this.format && captureOrigin(piece, this.format.timescale);
    if (origin !== null) this.originMs = origin;
    if (this.state !== 'live') this.takeState({ state: 'live' }); // media is the better witness
    this.sink.chunk(buffer);
  }

  // Starts over from the newest keyframe; slower each time, so that a stream which this device
  // cannot decode does not keep the line busy.
  reset() {
    this.resets++;
    this.positioned = false;
    this.newest = 0;
    this.sink.reset();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.feed.restart(), Math.min(8000, 250 * this.resets));
  }

  get buffered() {
    return this.sink.buffered();
  }

  get end() {
    return endOf(this.buffered);
  }

  get playable() {
    return this.positioned && this.state === 'live';
  }

  // The first position: as near to the newest as the target says.
  settle() {
    if (this.positioned) return;
    const list = this.buffered;
    if (!list.length) return;
    const last = list[list.length - 1];
    this.seek(Math.max(last.start, last.end - this.pace.target));
    this.positioned = true;
    this.positionedMs = this.movedMs = performance.now();
    this.onChange();
  }

  seek(time) {
    this.soughtMs = performance.now();
    this.video.currentTime = time;
  }

  // A seek that is still going on, and may yet arrive.
  get seeking() {
    return this.video.seeking && performance.now() - this.soughtMs < SEEK_MS;
  }

  noteStall() {
    const now = performance.now();
    if (!this.playable || this.seeking || now - this.stalledMs < STALL_EVERY_MS) return;
    this.stalledMs = now;
    this.stalls++;
    this.pace = noteStall(this.pace, now);
  }

  // Keeps to the newest moment. `edge`: the newest media that counts, seconds.
  lead(edge, nowMs) {
    const behind = edge - this.video.currentTime;
    const step = catchUp(this.pace, behind, nowMs);
    this.pace = step.state;
    if (nowMs - this.positionedMs < ARRIVING_MS && behind > this.pace.target + ARRIVING_ABOVE_S)
      step.jump = this.pace.target;
    if (step.jump !== null && !this.seeking) this.seek(Math.max(0, edge - step.jump));
    this.setRate(step.rate);
  }

  setRate(rate) {
    if (Math.abs(this.video.playbackRate - rate) > 0.005) this.video.playbackRate = rate;
  }

  // Out of holes, and on when something hangs. True if the picture had to be moved.
  unstick(nowMs) {
    if (!this.positioned) return false;
    const video = this.video;
    const list = this.buffered;
    const time = video.currentTime;
    if (Math.abs(time - this.position) > 0.01 || nowMs - this.movedMs > 2 * LOST_AFTER_MS) {
      this.movedMs = nowMs;
      this.movedAt = this.feed.newest; // the chunk that was newest when the picture last moved
    }
    this.position = time;
    const exit = this.seeking ? null : holeExit(list, time);
    if (exit !== null && (!rangeAt(list, time) || nowMs - this.movedMs > 300)) {
      this.seek(Math.max(exit + 0.01, this.end - this.pace.target));
      return true;
    }
    const still = nowMs - this.movedMs;
    if (!document.hidden && still > LOST_AFTER_MS && this.feed.newest - this.movedAt > 20) this.reset();
    if (document.hidden || ahead(list, time) < 0.3 || still < NUDGE_AFTER_MS) return false;
    if (still > RESET_AFTER_MS) {
      this.movedMs = nowMs;
      this.reset();
    } else if (nowMs - (this.nudgedMs || 0) > NUDGE_AFTER_MS) {
      this.nudgedMs = nowMs;
      this.seek(Math.max(list[list.length - 1].start, this.end - this.pace.target));
    }
    return true;
  }

  get dropped() {
    const quality = this.video.getVideoPlaybackQuality && this.video.getVideoPlaybackQuality();
    return quality ? quality.droppedVideoFrames : 0;
  }
}
