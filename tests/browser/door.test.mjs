// SPDX-License-Identifier: MIT
// The page where a key guards relay and recorder: the token in the link opens both, and is seen nowhere.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { launch, moving, noTrouble } from './browser.mjs';
import { scenes } from './scene.mjs';
import { Stack } from './stack.mjs';

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

scene('a token for another lesson does not open this one', async (open) => {
  const page = await open();
  await page.goto(stack.page + '?token=' + stack.token('viewer', '--lesson', 'physics') + '#/live/math');
  await page.getByText('没有权限观看这节课').first().waitFor();
});
