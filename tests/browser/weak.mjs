// SPDX-License-Identifier: MIT
// A class behind a narrow line, as it hears and sees: which rendition, and for how long its sound
// stood still. Run as a program: 4, 1, 0.3 and 4 Mbit/s, then 64 kbit/s, as a table.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, openPage } from './browser.mjs';
import { NarrowLine } from './line.mjs';
import { Stack } from './stack.mjs';

// The sound stands when it advances by less than this share of the time that passes, for so long. To lead it
// by way of the analyser interrupts it once, at the beginning.
const LISTENING = { share: 0.3, least: 0.2, from: 1 };
const [MAIN_KBPS, LOW_KBPS, SLIDES_KBPS] = [1500, 240, 100];

// Runs in the page: writes down, from now on, how the sound goes on.
function watch({ share, least, from }) {
  const ears = { gaps: [], seeks: [], shown: [], levels: {}, notes: [] };
  const began = performance.now();
  const video = document.querySelector('video.main');
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  const samples = new Float32Array(analyser.fftSize);
  const source = context.createMediaElementSource(video);
  source.connect(analyser);
  source.connect(context.destination);
  const since = () => Math.round(performance.now() - began) / 1000;
  const shown = () => {
    const room = document.querySelector('.dark-room');
    return room.dataset.rendition || 'none';
  };
  video.addEventListener('seeking', () => ears.seeks.push([since(), video.currentTime, stretches(video.buffered)]));
  const stretches = (ranges) => Array.from({ length: ranges.length }, (_, i) => ranges.start(i).toFixed(3) + '-' + ranges.end(i).toFixed(3)).join(' ');
  const heard = () => context.currentTime * 1000; // stands when the machine's own sound stands
  let [wall, time] = [heard(), video.currentTime];
  let gap = null;
  setInterval(() => {
    const [nowWall, nowTime] = [heard(), video.currentTime];
    const [passed, played] = [(nowWall - wall) / 1000, nowTime - time];
    [wall, time] = [nowWall, nowTime];
    if (since() < from) return;
    if (played < passed * share) {
      gap = gap || [since(), 0];
      gap[1] += passed - Math.max(0, played);
    } else if (gap) {
      if (gap[1] > least) ears.gaps.push(gap);
      gap = null;
    }
    const rendition = shown();
    const last = ears.shown[ears.shown.length - 1];
    if (!last || last[1] !== rendition) ears.shown.push([since(), rendition]);
    analyser.getFloatTimeDomainData(samples);
    const level = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    ears.levels[rendition] = Math.max(ears.levels[rendition] || 0, level);
    ears.now = since();
  }, 100);
  setInterval(() => {
    const ranges = video.buffered;
    const end = ranges.length ? ranges.end(ranges.length - 1) : 0;
    ears.notes.push([since(), shown(), (end - video.currentTime).toFixed(2), video.playbackRate]);
  }, 1000);
  window.ears = ears;
}

const KINDS = {
  main: { size: '640x360', rate: 25, kbps: MAIN_KBPS },
  low: { size: '320x180', rate: 25, kbps: LOW_KBPS },
  slides: { size: '640x360', rate: 5, kbps: SLIDES_KBPS },
};

// Films of these kinds, as they would be encoded for a lesson: no encoder runs while it is listened to.
function film(folder, kinds, seconds) {
  return kinds.map((kind) => {
    const { size, rate, kbps } = KINDS[kind];
    const path = join(folder, kind + '.mp4');
    const sound = kind === 'slides' ? ['-an'] : ['-c:a', 'aac', '-b:a', '48k', '-ac', '1'];
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${rate},noise=alls=12:allf=t`,
      '-f', 'lavfi', '-i', 'sine=frequency=300:sample_rate=48000', '-t', String(seconds), '-c:v', 'libx264', '-preset', 'ultrafast',
      '-tune', 'zerolatency', '-b:v', kbps + 'k', '-maxrate', kbps + 'k', '-bufsize', kbps + 'k', '-g', String(2 * rate),
      '-keyint_min', String(2 * rate), '-sc_threshold', '0', '-pix_fmt', 'yuv420p', ...sound, path]);
    return path;
  });
}

export class WeakRoom {
  constructor() {
    this.stack = new Stack({ key: true });
    this.line = new NarrowLine(this.stack.folder);
  }

  async start({ slides = false, seconds = 60, ...settings }) {
    await this.line.start(settings);
    await this.stack.startRelay({ 'web.listen': '0.0.0.0' });
    const kinds = slides ? ['main', 'low', 'slides'] : ['main', 'low'];
    const files = film(this.stack.folder, kinds, seconds);
    const token = this.stack.tokens.sender;
    const inputs = files.flatMap((file) => ['-re', '-stream_loop', '-1', '-i', file]);
    const outputs = kinds.flatMap((kind, at) => ['-map', String(at), '-c', 'copy', '-f', 'rtsp', '-rtsp_transport', 'tcp',
      `rtsp://127.0.0.1:${this.stack.rtspPort}/math/${kind}?token=${token}`]);
    const sender = this.stack.run('ffmpeg', '/usr/bin/ffmpeg', ['-nostdin', '-v', 'error', ...inputs, ...outputs]);
    await this.stack.eventually(async () => (await this.stack.lesson('math')).streams.filter((one) => one.state === 'live').length === kinds.length, sender);
    this.browser = await launch({ path: this.line.wrap(process.env.TONGKE_CHROMIUM || '/usr/bin/chromium') });
  }

  // `make`: opens a page of the browser.
  async open(make = (options) => openPage(this.browser, options), options = {}) {
    const page = await make({ hand: true, host: this.line.address, ...options });
    const token = this.stack.token('viewer', '--lesson', '*');
    await page.goto(`http://${this.line.address}:${this.stack.webPort}/?token=${token}#/live/math`);
    await page.waitForFunction(() => {
      const video = document.querySelector('video.main');
      return video && !video.paused && video.readyState > 2;
    });
    return page;
  }

  listen(page) {
    return page.evaluate(watch, LISTENING);
  }

  heard(page) {
    return page.evaluate(() => window.ears);
  }

  async stop() {
    if (this.browser) await this.browser.close();
    await this.line.stop();
    await this.stack.stop();
  }
}

async function main() {
  const { values } = parseArgs({ options: {
    steps: { type: 'string', default: '4000:20,1000:25,300:30,4000:30,64:30,4000:30' },
    delay: { type: 'string', default: '25' },
    slides: { type: 'boolean', default: false },
    shots: { type: 'string' },
  } });
  const room = new WeakRoom();
  try {
    const steps = values.steps.split(',').map((step) => step.split(':').map(Number));
    const seconds = steps.reduce((sum, step) => sum + step[1], 30);
    await room.start({ slides: values.slides, seconds, delay: values.delay, rate: steps[0][0], buffer: 64 });
    const page = await room.open();
    await room.listen(page);
    for (const [rate, seconds] of steps) {
      await room.line.set({ rate });
      console.log(`${(await room.heard(page)).now} s: ${rate} kbit/s`);
      await new Promise((done) => setTimeout(done, seconds * 1000));
      if (values.shots) await page.screenshot({ path: `${values.shots}-${rate}.png` });
    }
    const { streams } = await room.stack.lesson('math');
    console.log(streams.map((stream) => `${stream.name}: ${Math.round(stream.bitrate_bps / 1000)} kbit/s`).join(', '));
    const ears = await room.heard(page);
    console.log(ears.notes.map((note) => note.join(' ')).join('\n'));
    console.log(JSON.stringify({ ...ears, notes: undefined }, null, 1));
    console.log(page.troubles);
    console.log(room.stack.relay.said.split('\n').filter((line) => / was /.test(line)).join('\n'));
  } finally {
    await room.stop();
  }
}

if (process.argv[1] === import.meta.filename) await main();
