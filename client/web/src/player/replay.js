// SPDX-License-Identifier: MIT
// A recording's streams in step: hls.js plays each, the teacher's picture leads.
import Hls from 'hls.js';
import { follow, retryDelayMs } from './policy.js';
import { fromTimeRanges, holeExit, rangeAt } from './ranges.js';
import { lessonTime, streamTime } from './timeline.js';

const NAMES = ['main', 'slides'];
const HEARD = ['play', 'pause', 'waiting', 'playing', 'ended', 'volumechange', 'seeking', 'seeked', 'loadeddata'];
const TICK_MS = 200;
const HUNG_MS = 700;
// A shorter wait for media is not worth a sentence.
const DRY_MS = 1000;
// A track that got so far since its last failure is no hopeless case.
const MOVED_S = 2;

// The address may be used no more (its permission ends within a day), or what it named is gone.
function isRefusal(response) {
  return !!response && (response.code === 401 || response.code === 403 || response.code === 404);
}

// `wantedS`: where in the lesson it is, or will be as soon as there is something to be shown. It outlives
// whatever happens to the <video>.
class Track {
  constructor(stream, video, address, startedMs, wantedS, on) {
    Object.assign(this, { stream, video, address, startedMs, on }); // on: {change(), refused()}
    this.wantedS = Math.min(wantedS, this.end);
    this.failed = false;
    this.failedAtS = -Infinity;
    this.tries = 0;
    this.movedMs = performance.now();
    this.position = -1;
    this.open();
  }

  open() {
    this.opened = this.address;
    if (Hls.isSupported()) this.openHls();
    else this.openPlain();
  }

  openHls() {
    const at = Math.max(0, this.wantedS - this.stream.first_s);
    const hls = new Hls({
      enableWorker: false,
      startPosition: at,
      maxBufferLength: 20,
      maxMaxBufferLength: 40,
      backBufferLength: 30,
      maxBufferHole: 0.5,
    });
    let settled = false;
    this.hls = hls;
    hls.on(Hls.Events.LEVEL_LOADED, () => {
      if (settled) return;
      settled = true;
      // Now the pieces are known, and with them where the wanted moment really lies.
      const really = this.toStream(this.wantedS);
      if (Math.abs(really - at) > 0.2) this.video.currentTime = really;
    });
    hls.on(Hls.Events.FRAG_BUFFERED, () => this.setFailed(false));
    hls.on(Hls.Events.ERROR, (event, data) => {
      const refused = isRefusal(data.response);
      if (refused) hls.stopLoad(); // it would ask the same again and again
      if (refused || data.fatal) this.fail(data.type, refused);
    });
    hls.loadSource(this.address);
    hls.attachMedia(this.video);
  }

  // Where the browser plays HLS by itself. It does not say why it could not.
  openPlain() {
    const { video } = this;
    video.onloadedmetadata = () => this.seek(this.wantedS);
    video.onloadeddata = () => this.setFailed(false);
    video.onerror = () => this.fail(null, true);
    video.src = this.address;
  }

  fail(type, refused) {
    this.setFailed(true);
    if (Math.abs(this.wantedS - this.failedAtS) > MOVED_S) this.tries = 0;
    this.failedAtS = this.wantedS;
    clearTimeout(this.timer);
    const known = this.opened !== this.address; // where it is now
    this.timer = setTimeout(() => this.recover(type), known ? 0 : retryDelayMs(this.tries++, Math.random()));
    if (refused && !known) this.on.refused();
  }

  recover(type) {
    clearTimeout(this.timer);
    if (this.hls && type === Hls.ErrorTypes.MEDIA_ERROR) {
      this.hls.recoverMediaError();
      return;
    }
    if (this.hls) this.hls.destroy();
    this.open();
  }

  // Does not wait any longer for the next attempt.
  hurry() {
    if (this.failed) this.recover(null);
  }

  // The same at another address, which is for the next time that it is opened.
  move(stream, address) {
    this.stream = stream;
    if (this.address === address) return;
    this.address = address;
    this.hurry();
  }

  setFailed(failed) {
    if (this.failed === failed) return;
    this.failed = failed;
    this.on.change();
  }

  get pieces() {
    const level = this.hls && this.hls.levels && this.hls.levels[Math.max(0, this.hls.currentLevel)];
    const details = level && level.details;
    return details ? details.fragments.map((f) => ({ start: f.start, duration: f.duration, wallMs: f.programDateTime })) : [];
  }

  get now() {
    const pieces = this.pieces;
    if (this.video.readyState < 2 || (this.hls && !pieces.length)) return this.wantedS;
    return lessonTime(pieces, this.startedMs, this.stream.first_s, this.video.currentTime);
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
    this.wantedS = Math.min(lessonS, this.end);
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
    this.video.onloadedmetadata = this.video.onloadeddata = this.video.onerror = null;
    this.video.removeAttribute('src');
    this.video.load();
  }
}

// options: {base, main, slides (videos), startS, onChange(), onRefused(): the recording is to be asked for anew}
export class ReplayPlayer {
  constructor(options) {
    this.options = options;
    this.tracks = {};
    this.wanted = true; // to play, whatever the <video> does meanwhile
    this.rate = 1;
    this.blocked = false;
    this.dryMs = null; // since when it waits for media
    this.onHeard = (event) => this.hear(event);
    this.onOnline = () => Object.values(this.tracks).forEach((track) => track.hurry());
  }

  start(recording) {
    for (const name of NAMES) for (const type of HEARD) this.options[name].addEventListener(type, this.onHeard);
    window.addEventListener('online', this.onOnline);
    this.update(recording);
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  // The recording as it is by now: it may have one stream more, and addresses have their time.
  update(recording) {
    const { base, onChange, onRefused } = this.options;
    const on = { change: onChange, refused: onRefused };
    for (const stream of recording.streams) {
      if (!NAMES.includes(stream.name)) continue;
      const address = base + stream.playlist;
      const track = this.tracks[stream.name];
      if (track) track.move(stream, address);
      else this.tracks[stream.name] = new Track(stream, this.options[stream.name], address, Date.parse(recording.started), this.now, on);
    }
    this.leader = this.tracks.main || this.tracks.slides;
    this.follower = this.tracks.main && this.tracks.slides;
  }

  stop() {
    clearInterval(this.timer);
    window.removeEventListener('online', this.onOnline);
    for (const name of NAMES) for (const type of HEARD) this.options[name].removeEventListener(type, this.onHeard);
    for (const track of Object.values(this.tracks)) track.close();
  }

  // Others start and stop it as well: a key of the system, a headset taken off, the end. What a <video> does
  // to itself when its source goes away is no such event.
  hear(event) {
    const video = this.leader && this.leader.video;
    if (event.target === video && event.type === 'play') this.wanted = true;
    if (event.target === video && event.type === 'pause' && video.paused) this.wanted = false;
    this.options.onChange();
  }

  get now() {
    return this.leader ? this.leader.now : this.options.startS;
  }

  play() {
    this.wanted = true;
    if (!this.leader) return;
    if (this.leader.video.ended) this.seek(this.leader.stream.first_s);
    this.begin();
  }

  begin() {
    const promise = this.leader.video.play();
    if (!promise) return;
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
    if (this.leader) this.leader.video.pause();
  }

  toggle() {
    if (this.wanted) this.pause();
    else this.play();
    this.options.onChange();
  }

  seek(lessonS) {
    if (!this.leader) return;
    const to = Math.max(this.leader.stream.first_s, lessonS);
    for (const track of Object.values(this.tracks)) track.seek(to);
    this.options.onChange();
  }

  setRate(rate) {
    this.rate = rate;
    this.options.onChange();
  }

  tick() {
    const { leader, follower } = this;
    if (!leader) return;
    const { video } = leader;
    const nowMs = performance.now();
    leader.jumpHoles(nowMs);
    leader.wantedS = leader.now;
    if (this.wanted && video.paused && !video.ended && video.readyState > 0) this.begin();
    if (video.playbackRate !== this.rate) video.playbackRate = this.rate;
    if (follower) this.keepStep(leader, follower);
    if (video.readyState > 2 || video.ended || (!this.wanted && !video.seeking)) this.dryMs = null;
    else if (this.dryMs === null) this.dryMs = nowMs;
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
    follower.wantedS = time;
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
      paused: !this.wanted,
      ended: !!video && video.ended,
      muted: !!video && video.muted,
      waiting: this.dryMs !== null && performance.now() - this.dryMs > DRY_MS,
      blocked: this.blocked,
      rate: this.rate,
      failed: !!video && this.leader.failed && video.readyState < 3,
      main: !!this.tracks.main && this.tracks.main.video.readyState > 0,
      slides: !!this.tracks.slides && this.tracks.slides.video.readyState > 0,
      leader: this.leader ? this.leader.stream.name : null,
    };
  }
}
