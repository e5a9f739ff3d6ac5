// SPDX-License-Identifier: MIT
// A recording's streams in step: hls.js plays each, the teacher's picture leads.
import Hls from 'hls.js';
import { follow } from './policy.js';
import { fromTimeRanges, holeExit, rangeAt } from './ranges.js';
import { lessonTime, streamTime } from './timeline.js';

const TICK_MS = 200;
const RETRY_MS = 2000;
const HUNG_MS = 700;

class Track {
  constructor(stream, video, address, startedMs, startS, onChange) {
    Object.assign(this, { stream, video, address, startedMs, onChange });
    this.failed = false;
    this.movedMs = performance.now();
    this.position = -1;
    if (Hls.isSupported()) this.open(startS);
    else {
      video.src = address;
      video.addEventListener('loadedmetadata', () => this.seek(startS), { once: true });
    }
  }

  open(startS) {
    const hls = new Hls({
      enableWorker: false,
      startPosition: Math.max(0, startS - this.stream.first_s),
      maxBufferLength: 20,
      maxMaxBufferLength: 40,
      backBufferLength: 30,
      maxBufferHole: 0.5,
    });
    this.hls = hls;
    this.settled = false;
    hls.on(Hls.Events.LEVEL_LOADED, () => {
      if (this.settled) return;
      this.settled = true;
      // Now the pieces are known, and with them where the wanted moment really lies.
      const at = this.toStream(startS);
      if (Math.abs(at - Math.max(0, startS - this.stream.first_s)) > 0.2) this.video.currentTime = at;
    });
    hls.on(Hls.Events.FRAG_BUFFERED, () => this.setFailed(false));
    hls.on(Hls.Events.ERROR, (event, data) => {
      if (!data.fatal) return;
      this.setFailed(true);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.recover(data.type), RETRY_MS);
    });
    hls.loadSource(this.address);
    hls.attachMedia(this.video);
  }

  recover(type) {
    if (type === Hls.ErrorTypes.MEDIA_ERROR) this.hls.recoverMediaError();
    else {
      const at = this.now;
      this.hls.destroy();
      this.open(at);
    }
  }

  setFailed(failed) {
    if (this.failed === failed) return;
    this.failed = failed;
    this.onChange();
  }

  get pieces() {
    const level = this.hls && this.hls.levels && this.hls.levels[Math.max(0, this.hls.currentLevel)];
    const details = level && level.details;
    return details ? details.fragments.map((f) => ({ start: f.start, duration: f.duration, wallMs: f.programDateTime })) : [];
  }

  get now() {
    return lessonTime(this.pieces, this.startedMs, this.stream.first_s, this.video.currentTime);
  }

  toStream(lessonS) {
    return streamTime(this.pieces, this.startedMs, this.stream.first_s, lessonS);
  }

  // Where the stream's media ends, by what is known of it, in lesson time.
  get end() {
    const pieces = this.pieces;
    const last = pieces[pieces.length - 1];
    return last ? lessonTime(pieces, this.startedMs, this.stream.first_s, last.start + last.duration - 0.001) : this.stream.first_s + this.stream.duration_s;
  }

  seek(lessonS) {
    this.video.currentTime = this.toStream(lessonS);
  }

  // Over a hole in the recording that playing would stop at.
  jumpHoles(nowMs) {
    const video = this.video;
    if (video.currentTime !== this.position || video.paused || video.seeking) this.movedMs = nowMs;
    this.position = video.currentTime;
    if (nowMs - this.movedMs < HUNG_MS) return;
    const list = fromTimeRanges(video.buffered);
    const exit = holeExit(list, video.currentTime);
    if (exit !== null) video.currentTime = exit + 0.01;
    else if (list.length && rangeAt(list, video.currentTime) && video.readyState < 3) video.currentTime += 0.05;
    this.movedMs = nowMs;
  }

  close() {
    clearTimeout(this.timer);
    if (this.hls) this.hls.destroy();
    this.video.removeAttribute('src');
    this.video.load();
  }
}

// options: {recording, base, main, slides (videos), startS, onChange()}
export class ReplayPlayer {
  constructor(options) {
    this.options = options;
    this.tracks = {};
    this.wanted = true;
    this.rate = 1;
    this.blocked = false;
  }

  start() {
    const { recording, base, startS } = this.options;
    const startedMs = Date.parse(recording.started);
    for (const stream of recording.streams) {
      const video = this.options[stream.name];
      if ((stream.name !== 'main' && stream.name !== 'slides') || this.tracks[stream.name]) continue;
      const changed = () => this.options.onChange();
      this.tracks[stream.name] = new Track(stream, video, base + stream.playlist, startedMs, startS, changed);
    }
    this.leader = this.tracks.main || this.tracks.slides;
    this.follower = this.tracks.main && this.tracks.slides;
    if (!this.leader) return;
    for (const name of ['play', 'pause', 'waiting', 'playing', 'ended', 'volumechange', 'seeking', 'seeked', 'loadeddata'])
      this.leader.video.addEventListener(name, this.options.onChange);
    if (this.follower) this.follower.video.addEventListener('loadeddata', this.options.onChange);
    this.play();
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  stop() {
    clearInterval(this.timer);
    for (const track of Object.values(this.tracks)) track.close();
  }

  get now() {
    return this.leader ? this.leader.now : 0;
  }

  play() {
    this.wanted = true;
    if (this.leader.video.ended) this.seek(this.leader.stream.first_s);
    const promise = this.leader.video.play();
    if (promise)
      promise.then(
        () => (this.blocked = false),
        (error) => {
          if (error.name !== 'NotAllowedError') return;
          this.blocked = true;
          this.wanted = false;
          this.options.onChange();
        }
      );
  }

  pause() {
    this.wanted = false;
    this.leader.video.pause();
  }

  toggle() {
    if (this.leader.video.paused) this.play();
    else this.pause();
  }

  seek(lessonS) {
    const to = Math.max(this.leader.stream.first_s, lessonS);
    for (const track of Object.values(this.tracks)) track.seek(to);
    this.options.onChange();
  }

  setRate(rate) {
    this.rate = rate;
    this.leader.video.playbackRate = rate;
    this.options.onChange();
  }

  tick() {
    const { leader, follower } = this;
    const nowMs = performance.now();
    leader.jumpHoles(nowMs);
    if (leader.video.playbackRate !== this.rate) leader.video.playbackRate = this.rate;
    if (follower) this.keepStep(leader, follower);
    this.options.onChange();
  }

  keepStep(leader, follower) {
    const time = leader.now;
    const video = follower.video;
    const inside = time >= follower.stream.first_s - 0.1 && time < follower.end - 0.1;
    const moving = !leader.video.paused && leader.video.readyState > 2 && !leader.video.seeking;
    const step = follow(follower.now - time, this.rate);
    if (inside && !video.seeking && (step.seek || (!moving && Math.abs(follower.now - time) > 0.05))) {
      const target = follower.toStream(time);
      if (Math.abs(video.currentTime - target) > 0.04) video.currentTime = target;
    }
    if (video.playbackRate !== step.rate) video.playbackRate = step.rate;
    if (moving && inside && video.paused) {
      const promise = video.play();
      if (promise) promise.catch(() => {});
    } else if ((!moving || !inside) && !video.paused) {
      video.pause();
    }
  }

  view() {
    const video = this.leader && this.leader.video;
    return {
      now: this.now,
      end: this.leader ? this.leader.end : 0,
      paused: !video || video.paused,
      ended: !!video && video.ended,
      muted: !!video && video.muted,
      waiting: !!video && !video.paused && video.readyState < 3,
      blocked: this.blocked,
      rate: this.rate,
      failed: !!this.leader && this.leader.failed,
      main: !!this.tracks.main && this.tracks.main.video.readyState > 0,
      slides: !!this.tracks.slides && this.tracks.slides.video.readyState > 0,
      leader: this.leader ? this.leader.stream.name : null,
    };
  }
}
