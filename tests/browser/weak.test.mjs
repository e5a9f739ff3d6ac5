// SPDX-License-Identifier: MIT
// The page behind a line that becomes narrow and wide again: the rendition follows, the sound never
// stops, and it can be chosen by hand. weak.mjs does the same for minutes, and with figures.

// tools/test: alone, for a browser that has to wait for the processor makes gaps of its own.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axeFindings } from './browser.mjs';
import { possible } from './line.mjs';
import { scenes } from './scene.mjs';
import { WeakRoom } from './weak.mjs';

const able = possible();
const room = able ? new WeakRoom() : null;
const scene = able ? scenes(() => room.browser) : (name) => test(name, { skip: 'no right to make network namespaces and tun devices' });

before(() => able && room.start({ seconds: 100, delay: 25, rate: 700, buffer: 16 }));
after(() => able && room.stop());

const shown = (page, rendition) => page.locator(`.dark-room[data-rendition=${rendition}]`).waitFor();

scene('a line of 700, 220 and 8000 kbit/s: low, the sound alone, and low again, without a gap', async (open) => {
  const page = await room.open(open);
  await shown(page, 'low');
  await page.waitForFunction(() => {
    const video = document.querySelector('video.main');
    return video.buffered.length && video.buffered.end(video.buffered.length - 1) - video.currentTime > 1.8;
  });
  await room.listen(page);
  await room.line.set({ rate: 220 });
  await shown(page, 'audio');
  await page.getByText('网络很慢，现在只有声音，画面稍后恢复').waitFor();
  assert.deepEqual(await axeFindings(page), []);
  await room.line.set({ rate: 8000 });
  await shown(page, 'low');
  const { gaps, seeks, levels } = await room.heard(page);
  assert.deepEqual(gaps, []);
  assert.deepEqual(seeks, []);
  for (const rendition of ['low', 'audio']) assert.ok(levels[rendition] > 0.02, `sound of ${rendition}: ${levels[rendition]}`);
});

scene('the quality is chosen by keys and by touch, and kept', async (open) => {
  const page = await room.open(open);
  const control = page.getByRole('button', { name: /^清晰度：自动/ });
  await control.focus();
  await page.keyboard.press('Enter');
  await page.locator('.choice[aria-checked=true]').waitFor();
  assert.deepEqual(await axeFindings(page), []);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await shown(page, 'low');
  await page.reload();
  await shown(page, 'low');
  await page.getByRole('button', { name: '清晰度：流畅' }).click();
  const choice = page.getByRole('radio', { name: /^仅声音/ });
  const box = await choice.boundingBox();
  assert.ok(box.height >= 48 && box.width >= 48);
  await choice.click();
  await shown(page, 'audio');
  await page.getByText('现在只有声音').waitFor();
});
