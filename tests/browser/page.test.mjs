// SPDX-License-Identifier: MIT
// The page in Chromium against the running system: live, library, replay, and what goes wrong.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { axeFindings, inStep, launch, moving, noTrouble, pictures, spoken } from './browser.mjs';
import { scenes } from './scene.mjs';
import { Stack, ask } from './stack.mjs';

const INFO = {
  title: '函数的单调性', stage: '普通高中', subject: '数学', grade: '高一', edition: '人教A版', teacher: '林老师', school: '城关第一中学',
};
const stack = new Stack();
let browser = null;
let lesson = null;

before(async () => {
  browser = await launch();
  await stack.start();
  lesson = await stack.startLesson('math', INFO);
});

after(async () => {
  if (browser) await browser.close();
  await stack.stop();
});

const scene = scenes(() => browser);
const live = (page) => page.goto(stack.page + '#/live/math');

scene('now: the running lesson stands there and leads into the live room', async (open) => {
  const page = await open();
  await page.goto(stack.page);
  await page.getByRole('heading', { name: '正在上课' }).waitFor();
  const card = page.getByRole('link', { name: /直播中.*函数的单调性/ });
  assert.match(await card.innerText(), /直播中[^]*数学[^]*高一[^]*函数的单调性[^]*林老师 · 城关第一中学/);
  await card.click();
  await moving(page);
  assert.equal(new URL(page.url()).hash, '#/live/math');
  await page.goto(stack.page + '#/now?auto=1');
  await page.getByText(/[0-5] 秒后进入“函数的单调性”/).waitFor();
  assert.equal(await spoken(page), '6 秒后进入“函数的单调性”');
  await page.waitForFunction(() => location.hash === '#/live/math?auto=1');
  noTrouble(page);
});

scene('live: both pictures move, with sound, in step and close to now', async (open) => {
  const page = await open({ hand: true });
  await live(page);
  const seen = await moving(page, 3, 10);
  assert.equal(seen.main.muted, false);
  assert.ok(seen.main.width > 0 && seen.slides.width > 0);
  await inStep(page);
  await page.getByRole('button', { name: /已连接 · 延迟 \d+\.\d 秒/ }).waitFor();
  await page.getByRole('heading', { name: '函数的单调性' }).waitFor();
  noTrouble(page);
});

scene('live: four layouts, swapped and remembered', async (open) => {
  const page = await open({ hand: true });
  await live(page);
  await moving(page);
  const layout = () => page.evaluate(() => document.querySelector('.stage').className);
  assert.match(await layout(), /layout-corner/);
  await page.getByRole('button', { name: '交换大小画面' }).click();
  assert.match(await layout(), /swapped/);
  for (const name of ['side', 'slides', 'main', 'corner', 'side']) {
    await page.getByRole('button', { name: /切换布局/ }).click();
    assert.match(await layout(), new RegExp('layout-' + name));
    assert.doesNotMatch(await layout(), /swapped/);
  }
  await page.reload();
  await moving(page);
  assert.match(await layout(), /layout-side/);
  noTrouble(page);
});

scene('live: the technician reads the line in plain numbers', async (open) => {
  const page = await open({ lang: 'en', hand: true });
  await live(page);
  await moving(page);
  await page.getByRole('button', { name: /Show the state of the line/ }).click();
  const sheet = page.getByRole('dialog', { name: 'Line' });
  await sheet.getByText(/avc1\.[0-9A-F]{6},mp4a\.40\.2/i).waitFor();
  await sheet.getByText(/^\d\.\d\d s$/).first().waitFor();
  assert.match(await sheet.innerText(), new RegExp(lesson));
  const focused = () => page.evaluate(() => !!document.activeElement.closest('[data-modal]'));
  assert.ok(await focused(), 'the sheet takes the focus');
  // A touch beside it takes the focus away; its keys go on.
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('Tab');
  assert.ok(await focused(), 'Tab leads back into the sheet');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('Escape');
  await sheet.waitFor({ state: 'detached' });
  noTrouble(page);
});

scene('live: a browser with nothing newer than Chromium 70 plays it as well', async (open) => {
  const page = await open({
    before: () => {
      delete Array.prototype.at;
      delete String.prototype.at;
      delete String.prototype.matchAll;
      delete String.prototype.replaceAll;
      delete Object.fromEntries;
      delete Object.hasOwn;
      delete Promise.allSettled;
      delete Promise.any;
      delete Element.prototype.replaceChildren;
      delete window.queueMicrotask;
      delete window.structuredClone;
      delete window.ManagedMediaSource;
      delete AbortSignal.timeout;
      delete Navigator.prototype.wakeLock;
    },
  });
  await live(page);
  await moving(page);
  noTrouble(page);
});

scene('live: a device that cannot play it says so, and takes nothing of the line', async (open) => {
  const visit = async (before) => {
    const page = await open({ before });
    const sockets = [];
    page.on('websocket', (socket) => /\/live\//.test(socket.url()) && sockets.push(socket));
    await live(page);
    await page.getByText('这台设备放不了这节课的画面').first().waitFor();
    await page.getByRole('link', { name: '用播放器打开（HLS）' }).waitFor();
    // The slides' socket may have been on its way; Chromium says so where one is closed.
    assert.deepEqual(page.troubles.filter((one) => !/closed before the connection is established/.test(one)), []);
    return sockets;
  };
  const some = await visit(() => (MediaSource.isTypeSupported = (mime) => mime === 'video/mp4; codecs="avc1.42E01E,mp4a.40.2"'));
  for (const socket of some) if (!socket.isClosed()) await socket.waitForEvent('close');
  const none = await visit(() => (MediaSource.isTypeSupported = () => false));
  assert.equal(none.length, 0);
});

scene('live: keys alone are enough', async (open) => {
  const page = await open();
  await page.goto(stack.page);
  await page.getByRole('link', { name: /直播中.*函数的单调性/ }).waitFor();
  const focused = () => page.evaluate(() => {
    const at = document.activeElement;
    return { name: at === document.body ? '' : at.getAttribute('aria-label') || at.textContent, outline: getComputedStyle(at).outlineStyle };
  });
  // As a remote control does it: arrows until the lesson is reached, then Enter.
  for (let i = 0; i < 8 && !/函数的单调性/.test((await focused()).name); i++) await page.keyboard.press(i % 2 ? 'ArrowRight' : 'ArrowDown');
  assert.match((await focused()).name, /直播中.*函数的单调性/);
  assert.equal((await focused()).outline, 'solid', 'the focus is seen');
  await page.keyboard.press('Enter');
  await moving(page);
  await page.keyboard.press('m');
  assert.equal((await pictures(page)).main.muted, true);
  await page.keyboard.press('m');
  assert.equal((await pictures(page)).main.muted, false);
  await page.keyboard.press('l');
  assert.match(await page.evaluate(() => document.querySelector('.stage').className), /layout-side/);
  const reached = [];
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press('Tab');
    reached.push((await focused()).name);
  }
  for (const name of [/返回/, /线路状态/, /关闭声音/, /切换布局/, /全屏/]) assert.ok(reached.some((one) => name.test(one)), name + ' in ' + reached);
  noTrouble(page);
});

scene('live: where sound needs a gesture, one large button says so', async (open, t) => {
  const careful = await launch({ sound: false });
  t.after(() => careful.close()); // also when it fails: a browser left open keeps Node.js here
  // To the browser every question that playwright asks of a page is a gesture: let the page tell.
  const page = await open({
    before: () => new MutationObserver(() => document.querySelector('.sound-blocked') && console.log('blocked'))
      .observe(document, { childList: true, subtree: true }),
  }, careful);
  const blocked = page.waitForEvent('console', (message) => message.text() === 'blocked');
  await live(page);
  await blocked;
  const button = page.getByRole('button', { name: '点这里打开声音' });
  await button.waitFor();
  await moving(page);
  assert.equal((await pictures(page)).main.muted, true);
  await button.click();
  await button.waitFor({ state: 'detached' });
  await page.waitForFunction(() => !document.querySelector('video.main').muted && !document.querySelector('video.main').paused);
  noTrouble(page);
});

scene('live: the sender killed and back, the page goes on without a reload', async (open) => {
  const page = await open();
  await live(page);
  await moving(page);
  await page.evaluate(() => (window.sameDocument = true));
  await stack.capture.stop('SIGKILL');
  // A whole second, so that the library has a gap to show, however fast the machine is.
  await page.getByText(/老师端正在重新连接… 已等待 [1-9]\d* 秒/).first().waitFor();
  assert.match(await spoken(page), /^老师端正在重新连接…(?!.*已等待)/);
  const again = await stack.startLesson('math', INFO, lesson);
  assert.equal(again, lesson);
  await moving(page, 2, 8);
  await inStep(page);
  assert.equal(await page.evaluate(() => window.sameDocument), true);
  noTrouble(page);
});

scene('library: words of one and two characters find the lesson, marked', async (open) => {
  const page = await open();
  await page.goto(stack.page + '#/library');
  const field = page.getByRole('searchbox', { name: '搜索课程' });
  await page.waitForFunction(() => document.activeElement.type === 'search');
  for (const word of ['单调', '函']) {
    await field.fill(word);
    await page.getByText(new RegExp('“' + word + '”：1 节课')).waitFor();
    await page.locator('mark', { hasText: word }).first().waitFor();
    assert.equal(new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('q'), word);
  }
  await page.getByRole('button', { name: /^数学/ }).first().click();
  await page.getByRole('button', { name: '去掉条件：数学' }).waitFor();
  assert.match(decodeURIComponent(page.url()), /subject=数学/);
  await field.fill('三角函数');
  await page.getByText('没有找到“三角函数”').waitFor();
  await page.getByRole('button', { name: '清除全部条件' }).first().click();
  await page.getByRole('link', { name: /函数的单调性/ }).waitFor();
  noTrouble(page);
});

scene('library: a shared address opens the same search', async (open) => {
  const page = await open({ lang: 'en' });
  await page.goto(stack.page + '#/library?q=' + encodeURIComponent('单调') + '&subject=' + encodeURIComponent('数学'));
  await page.getByRole('button', { name: 'Remove filter: 数学' }).waitFor();
  await page.getByRole('link', { name: /函数的单调性/ }).waitFor();
  noTrouble(page);
});

scene('every room, in both languages, by axe-core', async (open) => {
  const findings = [];
  const look = async (page, name) => {
    for (const one of await axeFindings(page)) findings.push(name + ': ' + one);
  };
  for (const lang of ['zh', 'en']) {
    const page = await open({ lang, hand: true });
    const visit = async (where, ready) => {
      await page.goto(stack.page + where);
      await ready();
      await look(page, lang + ' ' + where);
    };
    await visit('#/now', () => page.locator('.card').waitFor());
    await visit('#/library', () => page.locator('.row').first().waitFor());
    await visit('#/live/math', () => moving(page));
    await page.locator('.pill').click();
    await look(page, lang + ' sheet');
    await visit('#/live/nobody', () => page.getByText(lang === 'zh' ? '课程还没有开始' : 'The lesson has not begun').first().waitFor());
    assert.doesNotMatch(await spoken(page), /已等待|Waited/);
    await visit('#/nowhere', () => page.locator('.sign').waitFor());
    await visit('#/replay/' + lesson, () => page.getByRole('slider').waitFor());
    await page.keyboard.press('i');
    await page.locator('.panel').waitFor();
    await look(page, lang + ' panel');
    const dark = await open({ lang, scheme: 'dark', width: 390, height: 844 });
    await dark.goto(stack.page + '#/library');
    await dark.locator('.row').first().waitFor();
    await look(dark, lang + ' library on a phone in the dark');
  }
  assert.deepEqual(findings, []);
});

const place = (page) => page.evaluate(() => Number(document.querySelector('[role=slider]').getAttribute('aria-valuenow')));

scene('replay of the lesson still running, whose slides begin late', async (open) => {
  const page = await open({ hand: true });
  let slides = false;
  await page.route('**/api/v1/recordings/' + lesson, async (route) => {
    const response = await route.fetch();
    const recording = await response.json();
    recording.streams = recording.streams.filter((stream) => slides || stream.name === 'main');
    await route.fulfill({ response, json: recording });
  });
  await page.goto(stack.page + '#/replay/' + lesson + '?t=5');
  await page.getByRole('link', { name: '这节课正在上 · 去直播间' }).waitFor();
  await page.waitForFunction(() => document.querySelector('video.main').currentTime > 1);
  await page.evaluate(() => document.querySelector('video.main').addEventListener('emptied', () => (window.beganAnew = true)));
  slides = true;
  await moving(page);
  assert.ok((await place(page)) > 5);
  assert.equal(await page.evaluate(() => window.beganAnew), undefined);
  await page.unrouteAll({ behavior: 'wait' });
  noTrouble(page);
});

scene('replay: what plays it comes when it is needed, and is fetched again when it did not come', async (open) => {
  const page = await open();
  let asked = 0;
  await page.route('**/player.js*', (route) => (asked++ ? route.continue() : route.abort()));
  await live(page);
  await moving(page);
  assert.equal(asked, 0);
  await page.goto(stack.page + '#/replay/' + lesson);
  await page.getByText('这节课暂时放不了').waitFor();
  await moving(page);
  assert.equal(asked, 2);
});

scene('the relay gone and back: said, and recovered from without a reload', async (open) => {
  const page = await open();
  await live(page);
  await moving(page);
  await page.evaluate(() => (window.sameDocument = true));
  const list = await open();
  await list.clock.install();
  await list.goto(stack.page);
  const card = list.getByRole('link', { name: /直播中.*函数的单调性/ });
  await card.waitFor();
  // It says nothing any more, and its connections stand.
  const lost = list.getByText(/与服务器的连接断开了，正在重新连接… 已等待 \d+ 秒/);
  const look = () => list.evaluate(() => window.dispatchEvent(new Event('online')));
  stack.relay.child.kill('SIGSTOP');
  await look();
  await list.clock.fastForward(20000);
  await lost.waitFor();
  assert.equal(await spoken(list), '与服务器的连接断开了，正在重新连接…');
  await stack.relay.stop('SIGKILL');
  await page.getByText(/与服务器的连接断开了，正在重新连接… 已等待 \d+ 秒/).first().waitFor();
  await stack.capture.stop('SIGKILL');
  await stack.startRelay({ 'limits.total_kbps': 1 });
  await stack.startLesson('math', INFO, lesson);
  await look();
  await lost.waitFor({ state: 'detached' });
  await card.waitFor();
  // Who comes before it is known what the lesson needs is let in.
  const late = await open();
  await stack.eventually(async () => {
    await late.goto('about:blank');
    await live(late);
    await late.locator('.phase-live, .phase-full').waitFor();
    return (await late.locator('.phase-full').count()) > 0;
  });
  await late.getByText(/观看人数已满，正在等待空位… 已等待 [1-9]\d* 秒/).first().waitFor();
  await stack.relay.stop();
  await stack.capture.stop('SIGKILL');
  await stack.startRelay();
  const next = await stack.startLesson('math', INFO, lesson);
  assert.equal(next, lesson);
  await moving(page, 2, 8);
  await moving(late);
  assert.equal(await page.evaluate(() => window.sameDocument), true);
});

scene('the lesson ends: said, with the way to the replay', async (open) => {
  const page = await open();
  await live(page);
  await moving(page);
  await stack.capture.stop();
  await ask(stack.page + 'api/v1/lessons/math/end', 'POST');
  await page.getByText('本节课已结束').first().waitFor();
  await page.getByRole('link', { name: '回看这节课' }).click();
  await moving(page);
  noTrouble(page);
});

scene('replay: plays, seeks both streams in step, shows the gap, remembers the place', async (open) => {
  await stack.eventually(async () => (await stack.recording(lesson)).state === 'closed', stack.recorder);
  const recording = await stack.recording(lesson);
  assert.ok(recording.gaps.length >= 1);
  const page = await open({ hand: true });
  await page.goto(stack.page + '#/replay/' + lesson);
  await moving(page);
  assert.ok((await page.locator('.seek-gap').count()) >= 1);
  const target = Math.round(recording.duration_s * 0.7);
  await page.getByRole('slider').focus();
  await page.keyboard.press('7');
  await page.waitForFunction((at) => Math.abs(Number(document.querySelector('[role=slider]').getAttribute('aria-valuenow')) - at) <= 2, target);
  await moving(page);
  await page.keyboard.press('k');
  await page.waitForFunction(() => document.querySelector('video.main').paused);
  const stopped = await place(page);
  await page.keyboard.press('j');
  await page.waitForFunction((at) => Number(document.querySelector('[role=slider]').getAttribute('aria-valuenow')) <= at, Math.max(1, stopped - 9));
  await page.getByRole('button', { name: /^速度/ }).click();
  await page.getByRole('button', { name: '速度 · 1.25×' }).waitFor();
  await page.keyboard.press('k');
  await moving(page, 5);
  assert.equal(await page.evaluate(() => document.querySelector('video.main').playbackRate), 1.25);
  await page.reload();
  await page.getByText(/从上次看到的 \d+:\d\d 继续/).waitFor();
  noTrouble(page);
});

scene('replay: neither an outage nor an address that has had its time loses the place', async (open) => {
  const recording = await stack.recording(lesson);
  const [, grant] = /^\/hls\/([^/]+)\//.exec(recording.hls);
  // With nothing but loopback the browser calls itself offline, and hls.js waits for it to change its mind.
  const connected = () => Object.defineProperty(Navigator.prototype, 'onLine', { get: () => true });
  const page = await open({ hand: true, before: connected });
  let line = 'away';
  let asked = 0;
  let tries = 0;
  // As if the page had been opened with a grant before this one.
  await page.route('**/api/v1/recordings/' + lesson, async (route) => {
    const response = await route.fetch();
    const text = await response.text();
    await route.fulfill({ response, body: asked++ ? text : text.split('/hls/' + grant).join('/hls/before') });
  });
  await page.route('**/hls/before/**', (route) => {
    const url = route.request().url();
    if (/main\/playlist/.test(url)) tries++;
    if (line === 'away') return route.abort('failed');
    return route.continue(line === 'good' ? { url: url.replace('/hls/before/', '/hls/' + grant + '/') } : {});
  });
  const sure = async (from) => {
    await moving(page);
    const now = await place(page);
    assert.ok(now >= from && now < from + 15, now + ' is not shortly after ' + from);
  };
  await page.goto(stack.page + '#/replay/' + lesson + '?t=6');
  await page.getByText('这节课暂时放不了').waitFor();
  for (let i = 0; i < 60 && tries < 3; i++) await page.waitForRequest(/\/hls\/before\//);
  line = 'good';
  await page.evaluate(() => window.dispatchEvent(new Event('online')));
  await sure(6);
  line = 'away';
  await page.keyboard.press('8');
  await page.getByText('正在缓冲…').waitFor();
  line = 'good';
  await page.getByText('正在缓冲…').waitFor({ state: 'detached' });
  await sure(Math.floor(recording.duration_s * 0.8));
  line = 'ended';
  await page.keyboard.press('5');
  await sure(Math.floor(recording.duration_s * 0.5));
  assert.ok(asked > 1 && asked < 6, 'asked for ' + asked + ' times');
  assert.deepEqual(page.troubles.filter((one) => one.startsWith('error:')), []);
});

scene('the link of the live room leads to the recording when the relay has long forgotten the lesson', async (open) => {
  await stack.relay.stop();
  await stack.startRelay();
  const page = await open();
  await live(page);
  await page.getByText('课程还没有开始').first().waitFor();
  await page.getByRole('link', { name: '回看上一节课' }).click();
  await moving(page);
  assert.equal(new URL(page.url()).hash, '#/replay/' + lesson);
  noTrouble(page);
  await page.goto(stack.page + '#/live/' + lesson); // of which the relay says 404
  await page.waitForFunction((hash) => location.hash === hash, '#/replay/' + lesson);
  await moving(page);
});

scene('what the page cannot do, it says', async (open) => {
  const page = await open();
  await page.goto(stack.page + '#/live/../etc');
  await page.getByText('没有找到这节课').waitFor();
  await page.goto(stack.page + '#/replay/01ARZ3NDEKTSV4RRFFQ69G5FAV');
  await page.getByText('没有找到这节课').waitFor();

  const old = await open({ before: () => delete Array.prototype.flat });
  await old.goto(stack.page + '#/replay/' + lesson);
  await old.getByRole('heading', { name: '这个浏览器太旧了' }).waitFor();
  const link = old.getByRole('link', { name: /HLS/ });
  assert.match(await link.getAttribute('href'), new RegExp(lesson + '/playlist\\.m3u8$'));
  assert.equal((await old.request.get(await link.getAttribute('href'))).headers()['content-type'], 'application/vnd.apple.mpegurl');
});
