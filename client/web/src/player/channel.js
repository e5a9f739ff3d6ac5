// SPDX-License-Identifier: MIT
// One stream of the live room: its feed, its sink and its <video>, the renditions that it comes in, and
// the ladder of remedies when the picture stands still.
import { captureOrigin } from './boxes.js';
import { Feed } from './feed.js';
import { TARGET_MIN_S, catchUp, newCatchUp, noteStall, noteWeak } from './policy.js';
import { ahead, endOf, holeExit } from './ranges.js';
import { Sink, canPlay } from './sink.js';
import { Still } from './still.js';

const STANDS_MS = 300;
// Browsers stop a little before a hole.
const STANDS_BEFORE_S = 0.4;
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
const TURNS_MAX = 16;
const HELD_MAX = 100;
// The burst at the start comes over a far line piece by piece.
const FAR_START_S = 1.2;

// options: {video, urlOf(from, least), probe(), onChange(), floorS(): the least distance to keep}
export class Channel {
  constructor({ video, urlOf, probe, onChange, floorS }) {
    this.video = video;
    this.onChange = onChange;
    this.floorS = floorS;
    this.state = null; // of the stream, by the relay's word
    this.format = null;
    this.unsupported = null;
    this.originMs = null;
    this.positioned = false;
    this.newest = 0; // sequence number of the newest chunk
    this.still = new Still();
    this.standing = false; // sound alone comes, and goes on under a picture that stands
    this.turns = []; // {time, rendition}: from which media time on which is there to be shown
    this.turning = null;
    this.held = null; // {init, chunks, untilS}: come after a step, until they reach what is there
    this.pace = newCatchUp(performance.now(), floorS());
    this.lost = 0; // chunks that the relay could not give
    this.resets = 0;
    this.stalls = 0;
    this.stalledMs = this.soughtMs = 0;
    this.movedMs = performance.now();
    this.position = 0;
    this.sink = new Sink(video, {
      appended: () => this.settle(),
      failed: () => this.reset(),
    });
    this.feed = new Feed(urlOf, probe, {
      status: () => onChange(),
      state: (message) => this.takeState(message),
      rendition: (word) => this.takeRendition(word),
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
      if (!this.unsupported) this.takeInit(mime, buffer);
      else this.feed.pause(); // the line is for who can see it
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
    this.noteTurn(piece);
    if (this.standing) {
      this.sink.chunk(this.still.join(buffer, piece.sequence) || buffer);
      return;
    }
    this.still.takeChunk(buffer);
    if (!this.held) this.sink.chunk(buffer);
    else if (this.held.chunks.push(buffer) === HELD_MAX || this.still.endS === null || this.still.endS >= this.held.untilS) this.letGo();
  }

  takeRendition(word) {
    this.newest = 0;
    this.turning = word;
    this.onChange();
  }

  takeInit(mime, buffer) {
    const sound = /^audio\//.test(mime);
    if (this.held) this.letGo();
    this.standing = sound && this.still.fits(buffer);
    if (this.standing) {
      this.begin(this.still.init);
      return;
    }
    const init = { mime, data: buffer };
    // What comes after a step begins before the end of what is there, and the first of its pictures
    // would throw away all that depended on the replaced one: so they go in together.
    const untilS = this.turning && this.positioned ? this.still.endS : null;
    if (!sound) this.still.takeInit(mime, buffer);
    if (untilS === null || sound) this.begin(init);
    else this.held = { init, untilS, chunks: [] };
  }

  begin(init) {
    this.sink.cut();
    if (this.sink.init(init.mime, init.data)) this.positioned = false;
  }

  letGo() {
    const { init, chunks } = this.held;
    this.held = null;
    this.begin(init);
    for (const chunk of chunks) this.sink.chunk(chunk);
  }

  noteTurn(piece) {
    const [run] = piece.runs;
    const scale = this.turning && run && this.format && this.format.timescale && this.format.timescale[run.track];
    if (!scale) return;
    const time = run.decodeTicks / scale;
    this.turns = this.turns.filter((turn) => turn.time < time).concat({ time, rendition: this.turning }).slice(-TURNS_MAX);
    this.turning = null;
  }

  // What is on the screen now; what comes in is `feed.rendition`.
  get rendition() {
    const time = this.video.currentTime + 0.05;
    return this.turns.reduce((shown, turn) => (turn.time <= time ? turn.rendition : shown), 'main');
  }

  // Starts over from the newest keyframe; slower each time, so that a stream which this device
  // cannot decode does not keep the line busy.
  reset() {
    this.resets++;
    if (this.standing) this.still.refused = true;
    this.positioned = false;
    this.newest = 0;
    this.turns = [];
    this.held = null;
    this.still.endS = null;
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
    const floorS = this.floorS();
    if (floorS > TARGET_MIN_S && last.end - last.start < FAR_START_S) return;
    this.pace = { ...this.pace, target: Math.max(this.pace.learnt, floorS) };
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
    if (this.feed.rendition !== 'main') this.pace = noteWeak(this.pace, nowMs);
    const step = catchUp(this.pace, behind, nowMs, this.floorS());
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
      this.movedAt = this.feed.chunks; // how many had come when the picture last moved
    }
    this.position = time;
    const exit = this.seeking ? null : holeExit(list, time, STANDS_BEFORE_S);
    // Where only pictures are missing, some browsers play the sound on.
    if (exit !== null && nowMs - this.movedMs > STANDS_MS) {
      this.seek(exit + 0.01);
      return true;
    }
    const still = nowMs - this.movedMs;
    if (!document.hidden && still > LOST_AFTER_MS && this.feed.chunks - this.movedAt > 20) this.reset();
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
