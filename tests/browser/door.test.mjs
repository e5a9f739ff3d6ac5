// SPDX-License-Identifier: MIT
// The page where a key guards relay and recorder: the token in the link opens both, and is seen nowhere.
import assert from 'node:assert/strict';
import { mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { after, before } from 'node:test';
import { axeFindings, launch, moving, noTrouble } from './browser.mjs';
import { scenes } from './scene.mjs';
import { Stack, ask } from './stack.mjs';

const stack = new Stack({ key: true });
let browser = null;
let lesson = null;
const scene = scenes(() => browser);

before(async () => {
  browser = await launch();
  await stack.start();
  lesson = await stack.startLesson('math', { title: '函数的单调性' });
});

after(async () => {
  if (browser) await browser.close();
  await stack.stop();
});

scene('without a token every room says so', async (open) => {
  const page = await open();
  await page.goto(stack.page + '#/live/math');
  await page.getByText('没有权限观看这节课').first().waitFor();
  await page.goto(stack.page + '#/now');
  await page.getByText('没有权限观看这节课').first().waitFor();
  await page.goto(stack.page + '#/library');
  await page.getByText('没有权限查看课程库').waitFor();
  await page.goto(stack.page + '#/replay/' + lesson);
  await page.getByText('没有权限观看这节课').first().waitFor();
});

scene('with it live, library and replay open, and it leaves the address at once', async (open) => {
  const token = stack.token('viewer', '--lesson', '*');
  for (const where of ['?token=' + token + '#/live/math', '#/live/math?token=' + token]) {
    const page = await open();
    await page.goto(stack.page + where);
    await moving(page);
    assert.equal(page.url().includes(token), false);
    assert.equal(new URL(page.url()).hash, '#/live/math');
    await page.goto(stack.page + '#/library');
    await page.getByRole('link', { name: /函数的单调性/ }).click();
    await moving(page);
    noTrouble(page);
  }
});

scene('a token for another lesson does not open this one, and the right link then does', async (open) => {
  const page = await open();
  await page.goto(stack.page + '?token=' + stack.token('viewer', '--lesson', 'physics') + '#/live/math');
  await page.getByText('没有权限观看这节课').first().waitFor();
  await page.evaluate(() => (window.sameDocument = true));
  await page.goto(stack.page + '#/live/math?token=' + stack.token('viewer'));
  await moving(page);
  assert.equal(await page.evaluate(() => window.sameDocument), true);
});

// A library of its own, beside the lesson that runs; `broken`: on a disk that takes no folder.
async function otherLibrary(name, settings, broken) {
  await stack.recorder.stop();
  stack.data = `${stack.folder}/${name}`;
  mkdirSync(stack.data);
  if (broken) writeFileSync(stack.data + '/lessons', '');
  await stack.startRecorder(settings);
  await stack.recorder.until(/not recorded: /);
}

scene('who can do something about it is told why nothing is recorded, and a pupil is not', async (open) => {
  await otherLibrary('full', { 'disk.reserve_mb': 100000000 }, false);
  const library = async (role, options) => {
    const page = await open(options);
    page.asked = [];
    page.on('request', (request) => page.asked.push(new URL(request.url()).pathname));
    await page.goto(stack.page + '?token=' + stack.token(role) + '#/library');
    return page;
  };
  const admin = await library('admin');
  await admin.getByRole('alert').filter({ hasText: '有课正在上，却没有录制' }).waitFor();
  await admin.locator('.notice').filter({ hasText: '共 1 节：math。' }).waitFor();
  await admin.locator('.notice').filter({ hasText: /课程库磁盘已满.*还剩 [\d.]+ [GT]B/ }).waitFor();
  assert.deepEqual(await axeFindings(admin), []);
  noTrouble(admin);
  const english = await library('admin', { lang: 'en', width: 390, height: 844 });
  await english.locator('.notice').filter({ hasText: 'Lessons (1): math.' }).waitFor();
  const pupil = await library('viewer');
  await pupil.getByText('课程库里还没有课').waitFor();
  assert.equal(await pupil.locator('.notice').count(), 0);
  assert.deepEqual(pupil.asked.filter((path) => path.includes('alarms')), []);
  noTrouble(pupil);
  await assert.rejects(ask(stack.library + '/api/v1/alarms', 'GET', stack.tokens.viewer), /403/);
  const waiting = async (token) => JSON.parse(await ask(stack.library + '/api/v1/alarms', 'GET', token)).alarms[0];
  assert.deepEqual(await waiting(stack.token('sender', '--lesson', '*')), { what: 'waiting', count: 1, names: ['math'] });
  assert.deepEqual(await waiting(stack.token('sender', '--lesson', 'physics')), { what: 'waiting', count: 1, names: [] });

  await otherLibrary('broken', { 'disk.lesson_mb': 1, 'disk.reserve_mb': 0 }, true);
  await admin.getByRole('alert').filter({ hasText: '录像写不进磁盘' }).waitFor();
  await admin.locator('.notice').filter({ hasText: '共 1 节：math。' }).waitFor();
  assert.equal(await admin.getByRole('alert').count(), 2);
  // A folder that was refused is tried again, without anything happening in the lesson.
  unlinkSync(stack.data + '/lessons');
  await stack.recorder.until(/recording: math/);
  await stack.relay.stop();
  await admin.getByRole('alert').filter({ hasText: '课程库连不上直播服务器' }).waitFor();
  await admin.locator('.notice').filter({ hasText: /^课程库.*从 .* 起。$/ }).waitFor();
});
