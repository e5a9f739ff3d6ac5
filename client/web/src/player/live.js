// SPDX-License-Identifier: MIT
// The live lesson: teacher and slides in step, close to the newest moment, recovering from whatever
// happens without a click. Draws nothing; tells `onChange` when something is to be shown.
import { Channel } from './channel.js';
import { floorOf, follow, newSlidesRule, slidesRule, worseOf } from './policy.js';
import { ahead } from './ranges.js';
import { canPlay } from './sink.js';

const TICK_MS = 250;
const REPORT_MS = 1000;
const HISTORY = 120;
// Slides later than this do not hold the teacher back.
const WAIT_FOR_SLIDES_S = 1.2;
const RECONNECTED_MS = 3000;
// What is asked of every device.
const PLAIN_MIME = 'video/mp4; codecs="avc1.42E01E,mp4a.40.2"';

// options: {lesson, socketUrl(path, query), probe(), relayNow() ms | null, roundTrip() ms | null, main,
// slides (videos), wish, mime: what the lesson is known to come as | null, onChange()}
export class LivePlayer {
  constructor(options) {
    this.options = options;
    this.wish = options.wish || 'main'; // no better rendition than this
    this.slidesRule = newSlidesRule();
    this.wantSound = true;
    this.soundBlocked = false;
    this.channels = {};
    this.history = [];
    this.unsupported = null; // what this device cannot play: nothing of it is asked for then
    this.lesson = null; // which one that was
    this.reportedMs = 0;
    this.reconnectedMs = -Infinity;
    this.wasLost = false;
    this.bytesBefore = 0;
    this.bitrate = 0;
    this.onVisible = () => this.visible();
  }

  start() {
    document.addEventListener('visibilitychange', this.onVisible);
    const mime = this.options.mime || PLAIN_MIME;
    if (!canPlay(mime)) this.unsupported = mime;
    this.open('main', this.options.main);
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  stop() {
    document.removeEventListener('visibilitychange', this.onVisible);
    clearInterval(this.timer);
    for (const name of Object.keys(this.channels)) this.shut(name);
  }

  open(name, video) {
    if (this.channels[name] || this.unsupported) return;
    const { lesson, socketUrl, probe, roundTrip } = this.options;
    const urlOf = (from, least) => socketUrl('/live/' + lesson + '/' + name, {
      from,
      rendition: name === 'main' ? beginWith(worseOf(this.wish, least)) : null,
    });
    const channel = new Channel({ video, urlOf, probe, onChange: () => this.changed(), floorS: () => floorOf(roundTrip()) });
    channel.feed.opened = () => name === 'main' && channel.feed.report({ type: 'want', rendition: this.wish });
    this.channels[name] = channel;
    channel.start();
  }

  // No better rendition than this from now on.
  setWish(rendition) {
    if (this.wish === rendition) return;
    this.wish = rendition;
    if (this.channels.main) this.channels.main.feed.report({ type: 'want', rendition });
  }

  shut(name) {
    if (!this.channels[name]) return;
    this.channels[name].close();
    delete this.channels[name];
  }

  // Whether the lesson has slides, by the relay's word.
  setSlides(present) {
    if (present) this.open('slides', this.options.slides);
  }

  // Tries to connect at once instead of waiting for the next attempt.
  hurry() {
    for (const channel of Object.values(this.channels)) channel.feed.hurry();
  }

  setSound(on) {
    this.wantSound = on;
    this.options.main.muted = !on;
    if (on) this.soundBlocked = false;
    this.play(this.options.main);
    this.changed();
  }

  // The pair that is shown: who sets the pace, and who keeps to it.
  roles() {
    const { main, slides } = this.channels;
    if (main && main.playable) return { leader: main, follower: slides && slides.positioned ? slides : null };
    if (slides && slides.playable) return { leader: slides, follower: null };
    return { leader: main && main.positioned ? main : null, follower: null };
  }

  play(video) {
    if (!video.paused || video.ended || !video.src) return;
    const promise = video.play();
    if (!promise) return;
    promise.catch((error) => {
      if (error.name !== 'NotAllowedError' || video.muted) return;
      this.soundBlocked = true;
      video.muted = true;
      this.changed();
      this.play(video);
    });
  }

  visible() {
    if (document.hidden) return;
    for (const channel of Object.values(this.channels)) channel.movedMs = performance.now();
    this.hurry();
    this.tick();
  }

  tick() {
    const now = performance.now();
    const channels = Object.values(this.channels);
    if (this.channels.main && this.channels.main.unsupported) {
      this.unsupported = this.channels.main.unsupported;
      this.lesson = this.channels.main.lesson;
      for (const name of Object.keys(this.channels)) this.shut(name);
      this.changed();
      return;
    }
    for (const channel of channels) {
      channel.feed.tick(now);
      if (channel.positioned) this.play(channel.video);
    }
    this.shareLine(now);
    const { leader, follower } = this.roles();
    if (leader && leader.playable && !leader.unstick(now)) {
      let edge = leader.end;
      if (follower && follower.state === 'live' && !this.slidesRule.paused) {
        const late = edge - follower.end;
        if (late > 0 && late < WAIT_FOR_SLIDES_S) edge = follower.end;
      }
      leader.lead(edge, now);
    }
    if (leader && follower) this.keepStep(leader, follower, now);
    if (now - this.reportedMs >= REPORT_MS) this.report(now);
  }

  // Teacher and slides come over one line. Left with the sound alone, that goes first: while it is in
  // need the slides stand still.
  shareLine(now) {
    const { main, slides } = this.channels;
    if (!slides || !main) return;
    const bufferS = main.playable ? ahead(main.buffered, main.video.currentTime) : null;
    const rule = slidesRule(this.slidesRule, main.feed.rendition, bufferS, now);
    if (rule.paused !== this.slidesRule.paused) {
      if (rule.paused) slides.feed.pause();
      else slides.feed.resume();
    }
    this.slidesRule = rule;
  }

  keepStep(leader, follower, now) {
    const time = leader.video.currentTime;
    const step = follow(follower.video.currentTime - time, leader.video.playbackRate);
    const there = ahead(follower.buffered, time) > 0;
    if (step.seek && there && !follower.seeking) {
      follower.seek(time);
    } else if (!step.seek || there) {
      follower.setRate(step.rate);
    }
    if (there) follower.unstick(now);
  }

  report(now) {
    const seconds = (now - this.reportedMs) / 1000;
    this.reportedMs = now;
    let bytes = 0;
    for (const channel of Object.values(this.channels)) {
      bytes += channel.feed.bytes;
      if (!channel.positioned) continue;
      channel.feed.report({
        type: 'report',
        played_s: round(channel.video.currentTime),
        buffer_s: round(ahead(channel.buffered, channel.video.currentTime)),
        behind_s: round(this.behind(channel)),
        dropped: channel.dropped,
      });
    }
    this.bitrate = seconds < 5 ? Math.max(0, ((bytes - this.bytesBefore) * 8) / seconds) : 0;
    this.bytesBefore = bytes;
    const { leader } = this.roles();
    if (leader) {
      const time = leader.video.currentTime;
      this.history.push({ behind: this.behind(leader), buffer: ahead(leader.buffered, time) });
      if (this.history.length > HISTORY) this.history.shift();
    }
    this.changed();
  }

  // Seconds from capture to screen; null while not known.
  behind(channel) {
    const now = this.options.relayNow();
    if (channel.originMs === null || now === null) return null;
    const seconds = (now - channel.originMs) / 1000 - channel.video.currentTime;
    return seconds > -0.5 && seconds < 120 ? Math.max(0, seconds) : null;
  }

  phase() {
    const { main, slides } = this.channels;
    if (this.unsupported) return 'unsupported';
    if (!main) return 'connecting';
    const status = main.feed.status;
    if (status === 'denied') return 'denied';
    if (status === 'over' || main.state === 'ended') return 'over';
    if (main.feed.full) return 'full';
    if (status === 'lost') return 'lost';
    if (main.state === null) return 'connecting';
    if (main.state === 'live' || (slides && slides.state === 'live')) return main.positioned || (slides && slides.positioned) ? 'live' : 'starting';
    return main.state;
  }

  changed() {
    const phase = this.phase();
    if (phase !== this.lastPhase) {
      this.lastPhase = phase;
      this.phaseSinceMs = performance.now();
    }
    if (phase === 'lost' || phase === 'away') this.wasLost = true;
    if (phase === 'live' && this.wasLost) {
      this.wasLost = false;
      this.reconnectedMs = performance.now();
    }
    this.options.onChange();
  }

  // What the room shows.
  view() {
    const now = performance.now();
    const { main, slides } = this.channels;
    const { leader, follower } = this.roles();
    const video = leader && leader.video;
    const sum = (pick) => Object.values(this.channels).reduce((total, channel) => total + pick(channel), 0);
    return {
      phase: this.phase(),
      phaseForS: (now - (this.phaseSinceMs || now)) / 1000,
      retryInS: main && main.feed.retryAtMs ? Math.max(0, (main.feed.retryAtMs - now) / 1000) : null,
      reconnected: now - this.reconnectedMs < RECONNECTED_MS,
      lesson: main ? main.lesson : this.lesson,
      soundBlocked: this.soundBlocked,
      muted: this.options.main.muted,
      slides: !!(slides && slides.positioned),
      main: !!(main && main.positioned),
      behindS: leader ? this.behind(leader) : null,
      bufferS: leader ? ahead(leader.buffered, video.currentTime) : null,
      targetS: leader ? leader.pace.target : null,
      rate: video ? video.playbackRate : 1,
      stepMs: leader && follower ? (follower.video.currentTime - leader.video.currentTime) * 1000 : null,
      format: main && main.format,
      unsupported: this.unsupported,
      rendition: main ? main.rendition : 'main',
      wish: this.wish,
      width: main ? main.video.videoWidth : 0,
      height: main ? main.video.videoHeight : 0,
      roundTripMs: this.options.roundTrip(),
      slidesPaused: this.slidesRule.paused,
      bitrate: this.bitrate,
      dropped: sum((channel) => channel.dropped),
      lost: sum((channel) => channel.lost),
      stalls: sum((channel) => channel.stalls),
      resets: sum((channel) => channel.resets),
      reconnects: sum((channel) => channel.feed.reconnects),
      history: this.history,
    };
  }
}

// By the word of the socket's address.
function beginWith(rendition) {
  return rendition === 'main' ? 'auto' : rendition;
}

function round(value) {
  return value === null ? null : Math.round(value * 1000) / 1000;
}
