// SPDX-License-Identifier: MIT
// Chromium and what the tests ask of a page.
import axe from 'axe-core';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const PATIENCE_MS = 60000;
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

export function launch({ sound = true, path = process.env.TONGKE_CHROMIUM || '/usr/bin/chromium' } = {}) {
  return chromium.launch({
    executablePath: path,
    args: FLAGS.concat('--autoplay-policy=' + (sound ? 'no-user-gesture-required' : 'document-user-activation-required')),
    ignoreDefaultArgs: ['--mute-audio'],
    env: { ...process.env, DBUS_SESSION_BUS_ADDRESS: '/dev/null' },
  });
}

// A page of its own, with ears: `page.troubles` gathers errors and requests to other hosts.
// With `hand` somebody has a hand on the mouse, and the controls stay in sight however slow the test is.
export async function openPage(browser, { lang = 'zh', width = 1366, height = 768, scheme = 'light', hand = false, before = null, host = '127.0.0.1' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.troubles = [];
  page.on('pageerror', (error) => page.troubles.push('error: ' + error.stack));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') page.troubles.push('console: ' + message.text());
  });
  const local = (url) => /^(data|blob):/.test(url) || new URL(url).hostname === host;
  page.on('request', (request) => local(request.url()) || page.troubles.push('foreign request: ' + request.url()));
  page.on('websocket', (socket) => local(socket.url()) || page.troubles.push('foreign socket: ' + socket.url()));
  await page.addInitScript((language) => {
    if (!localStorage.getItem('tongke.lang')) localStorage.setItem('tongke.lang', JSON.stringify(language));
    if (!localStorage.getItem('tongke.seen')) localStorage.setItem('tongke.seen', 'true');
  }, lang);
  if (hand) await page.addInitScript(() => setInterval(() => document.dispatchEvent(new Event('pointermove')), 500));
  if (before) await page.addInitScript(before);
  return page;
}

export function noTrouble(page) {
  assert.deepEqual(page.troubles, []);
}

// {main: {time, frames, sound, width}, slides: {…}}
export function pictures(page) {
  return page.evaluate(() => {
    const all = {};
    for (const name of ['main', 'slides']) {
      const video = document.querySelector('video.' + name);
      all[name] = video && {
        time: video.currentTime,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
        sound: video.webkitAudioDecodedByteCount || 0,
        width: video.videoWidth,
        muted: video.muted,
        paused: video.paused,
      };
    }
    return all;
  });
}

// Waits until both pictures have moved on by `seconds` and `frames` from where they are now.
export async function moving(page, seconds = 1.5, frames = 3) {
  await page.waitForFunction(() => ['main', 'slides'].every((name) => {
    const video = document.querySelector('video.' + name);
    return video && video.readyState > 2 && !video.seeking;
  }));
  const from = await pictures(page);
  await page.waitForFunction(
    ({ start, need, count }) =>
      ['main', 'slides'].every((name) => {
        const video = document.querySelector('video.' + name);
        return video.currentTime >= start[name].time + need && video.getVideoPlaybackQuality().totalVideoFrames >= start[name].frames + count;
      }),
    { start: from, need: seconds, count: frames }
  );
  const to = await pictures(page);
  assert.ok(to.main.sound > from.main.sound, 'the sound is decoded');
  return to;
}

// Waits until teacher and slides are within `seconds` of each other in the lesson.
export function inStep(page, seconds = 0.15) {
  return page.waitForFunction((most) => {
    const [main, slides] = ['main', 'slides'].map((name) => document.querySelector('video.' + name));
    return !main.seeking && !slides.seeking && Math.abs(main.currentTime - slides.currentTime) < most;
  }, seconds);
}

// What a screen reader reads out by itself, as it changes.
export function spoken(page) {
  return page.evaluate(() => Array.from(document.querySelectorAll('[role=status], [role=alert]'), (region) => {
    const heard = region.cloneNode(true);
    heard.querySelectorAll('[aria-hidden=true]').forEach((hidden) => hidden.remove());
    return heard.textContent;
  }).join(' '));
}

// axe-core's serious and critical findings, as lines.
export async function axeFindings(page) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return found.violations
    .filter((one) => one.impact === 'serious' || one.impact === 'critical')
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
}

// What somebody in front of the page would report.
export async function describe(page) {
  try {
    const seen = await page.evaluate(() => ({
      address: location.href,
      text: document.body.innerText.replace(/\s+/g, ' ').slice(0, 400),
      videos: Array.from(document.querySelectorAll('video'), (video) => {
        const ranges = Array.from({ length: video.buffered.length }, (_, i) => video.buffered.start(i).toFixed(2) + '–' + video.buffered.end(i).toFixed(2));
        const { className, currentTime, paused, seeking, muted, readyState, error } = video;
        return { className, currentTime, paused, seeking, muted, readyState, error: error && error.message, ranges: ranges.join(' ') };
      }),
    }));
    return JSON.stringify({ ...seen, troubles: page.troubles }, null, 1);
  } catch (error) {
    return 'the page could not be asked: ' + error.message;
  }
}
