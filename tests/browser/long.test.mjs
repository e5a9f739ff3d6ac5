// SPDX-License-Identifier: MIT
// A lesson of 45 minutes: how many requests it takes to open it, and where a jump lands.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { execFileSync } from 'node:child_process';
import { launch, noTrouble } from './browser.mjs';
import { scenes } from './scene.mjs';
import { PROGRAMS, Stack } from './stack.mjs';

const MINUTES = 45;
const PLACES_S = [1351, 2600, 17, 1999.5];
const stack = new Stack();
let browser;
let id;

before(async () => {
  id = execFileSync(PROGRAMS + '/tests/fault/tongke-long-lesson', [stack.data, String(MINUTES)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  await stack.start();
  browser = await launch();
});
after(async () => {
  if (browser) await browser.close();
  await stack.stop();
});

const scene = scenes(() => browser);

// Jumps, and gives where it stands and after how long, once the picture of that place is there.
function jump(page, selector, place) {
  return page.evaluate(
    ([which, seconds]) =>
      new Promise((done) => {
        const video = document.querySelector(which);
        const began = performance.now();
        const look = () => {
          if (video.seeking || video.readyState < 2) return;
          video.removeEventListener('seeked', look);
          video.removeEventListener('canplay', look);
          done({ at: video.currentTime, ms: performance.now() - began });
        };
        video.addEventListener('seeked', look);
        video.addEventListener('canplay', look);
        video.currentTime = seconds;
      }),
    [selector, place],
  );
}

async function jumps(t, page, selector) {
  for (const place of PLACES_S) {
    const { at, ms } = await jump(page, selector, place);
    t.diagnostic(`to ${place} s: ${at.toFixed(2)} s, after ${ms.toFixed(0)} ms`);
    assert.ok(Math.abs(at - place) < 1, `${at} instead of ${place}`);
  }
}

scene('the download opens within three requests and seeks', async (open, t) => {
  const page = await open();
  const asked = [];
  page.on('request', (request) => request.url().includes('/download.mp4') && asked.push(request.headers().range || 'all'));
  await page.goto(stack.page);
  await page.evaluate(
    (url) =>
      new Promise((done, fail) => {
        const video = document.createElement('video');
        video.id = 'long';
        video.muted = true;
        video.preload = 'auto';
        video.onloadeddata = done;
        video.onerror = () => fail(new Error(video.error.message));
        video.src = url;
        document.body.append(video);
      }),
    `${stack.library}/api/v1/recordings/${id}/main/download.mp4`,
  );
  t.diagnostic(`opened with ${asked.length} requests: ${asked.join(', ')}`);
  assert.ok(asked.length >= 1 && asked.length <= 3, asked.join(', '));
  assert.equal(Math.round(await page.evaluate(() => document.querySelector('#long').duration)), MINUTES * 60);
  await jumps(t, page, '#long');
});

scene('the page shows it after three answers and seeks', async (open, t) => {
  const page = await open({ before: () => addEventListener('loadeddata', () => (window.shown = true), true) });
  const asked = [];
  let show;
  const shown = new Promise((done) => (show = done));
  // More is not answered before there is a picture.
  await page.route(/\.(m3u8|mp4|m4s)$/, async (route) => {
    if (asked.push(route.request().url().split('/').pop()) > 3) await shown;
    await route.continue();
  });
  await page.goto(`${stack.page}#/replay/${id}`);
  await page.waitForFunction(() => window.shown);
  t.diagnostic('asked until the first picture: ' + asked.join(', '));
  show();
  await jumps(t, page, 'video.main');
  noTrouble(page);
});
