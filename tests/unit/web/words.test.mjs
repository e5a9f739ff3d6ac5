// SPDX-License-Identifier: MIT
// Languages, dates, addresses: what stands on the page.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { clockText, dateText, isoDay, lengthText } from '../../../client/web/src/dates.js';
import { fill } from '../../../client/web/src/i18n.js';
import { en } from '../../../client/web/src/lang/en.js';
import { zh } from '../../../client/web/src/lang/zh.js';
import { markedPieces } from '../../../client/web/src/marked.js';
import { parseRoute } from '../../../client/web/src/route.js';
import { takeToken, tokenRole } from '../../../client/web/src/token.js';
import { libraryBase } from '../../../client/web/src/relay.js';

const SOURCE = new URL('../../../client/web/src/', import.meta.url);
const holes = (text) => (text.match(/\{\w+\}/g) || []).sort();

test('both languages say everything, with the same blanks', () => {
  assert.deepEqual(Object.keys(en).sort(), Object.keys(zh).sort());
  for (const key of Object.keys(zh)) {
    assert.ok(zh[key] && en[key], key);
    assert.deepEqual(holes(en[key]), holes(zh[key]), key);
    if (key !== 'app.other' && key !== 'app.otherLabel') assert.doesNotMatch(en[key].replace('单调性', ''), /[一-鿿]/, key);
  }
});

test('every sentence asked for exists, and every sentence is asked for', () => {
  const files = readdirSync(SOURCE, { recursive: true }).filter((name) => /\.jsx?$/.test(name) && !/^lang/.test(name));
  const code = files.map((name) => readFileSync(new URL(name, SOURCE), 'utf8')).join('\n');
  const asked = Array.from(code.matchAll(/'((?:app|now|live|bar|layout|quality|line|sheet|library|replay|gap|stream|info)\.[\w.-]+)'/g), (m) => m[1]);
  assert.ok(asked.length > 80);
  for (const key of asked) assert.ok(key in zh, key);
  const computed = /^(layout|quality|sheet|gap|stream|info)\.|^live\.(starting|deniedHow|wrongHow)$|^library\.(subject|grade|teacher|school|from|to)$/;
  for (const key of Object.keys(zh)) assert.ok(asked.includes(key) || computed.test(key), key + ' is never used');
});

test('fills blanks and leaves unknown ones', () => {
  assert.equal(fill('延迟 {s} 秒', { s: 0.6 }), '延迟 0.6 秒');
  assert.equal(fill('{a}{b}', { a: 1 }), '1{b}');
});

test('dates as people write them', () => {
  const date = new Date(2026, 10, 22, 10, 5);
  assert.equal(dateText(date, date, 'zh'), '11月22日 周日 10:05');
  assert.equal(dateText(date, date, 'en'), 'Sun 22 Nov, 10:05');
  assert.equal(dateText(date, new Date(2027, 0, 1), 'zh'), '2026年11月22日 周日 10:05');
  assert.equal(dateText(date, new Date(2027, 0, 1), 'en'), 'Sun 22 Nov 2026, 10:05');
  assert.equal(isoDay(new Date(2026, 0, 3)), '2026-01-03');
});

test('times and lengths', () => {
  assert.equal(clockText(760), '12:40');
  assert.equal(clockText(3760), '1:02:40');
  assert.equal(clockText(-1), '0:00');
  assert.equal(clockText(NaN), '0:00');
  assert.equal(lengthText(44, 'zh'), '44 秒');
  assert.equal(lengthText(2700, 'zh'), '45 分钟');
  assert.equal(lengthText(3900, 'zh'), '1 小时 5 分');
  assert.equal(lengthText(3600, 'en'), '1 h');
  assert.equal(lengthText(3900, 'en'), '1 h 5 min');
});

test('marked text is drawn, never parsed as HTML', () => {
  assert.deepEqual(markedPieces('<mark>函数</mark>的&lt;b&gt;&amp;amp;'), [
    { text: '函数', mark: true },
    { text: '的<b>&amp;', mark: false },
  ]);
  assert.deepEqual(markedPieces('<img onerror=x>'), [{ text: '<img onerror=x>', mark: false }]);
  assert.deepEqual(markedPieces('&constructor;&__proto__;'), [{ text: '&constructor;&__proto__;', mark: false }]);
});

test('rooms by fragment', () => {
  assert.equal(parseRoute('').room, 'now');
  assert.equal(parseRoute('#/').room, 'now');
  assert.deepEqual(parseRoute('#/live/math-1'), { room: 'live', lesson: 'math-1', query: {} });
  assert.deepEqual(parseRoute('#/replay/01JD?t=760'), { room: 'replay', lesson: '01JD', query: { t: '760' } });
  assert.equal(parseRoute('#/library?q=%E5%87%BD').query.q, '函');
  for (const hash of ['#/live', '#/live/', '#/live/../x', '#/live/a..b', '#/live/a/b', '#/admin', '#/live/%2e', '#/live/' + 'a'.repeat(65)])
    assert.equal(parseRoute(hash).room, 'wrong', hash);
});

test('the token leaves the address, wherever it stood', () => {
  assert.deepEqual(takeToken('http://h/?token=a.b-c#/live/m'), { address: 'http://h/#/live/m', token: 'a.b-c' });
  assert.deepEqual(takeToken('http://h/#/live/m?token=a%2Bb&t=3'), { address: 'http://h/#/live/m?t=3', token: 'a+b' });
  assert.deepEqual(takeToken('http://h/?x=1#/now'), { address: 'http://h/?x=1#/now', token: null });
});

test('where the library is', () => {
  const place = { protocol: 'http:', hostname: 'school' };
  assert.equal(libraryBase(':8081', place), 'http://school:8081');
  assert.equal(libraryBase('https://lib.example/x/', place), 'https://lib.example/x');
  assert.equal(libraryBase(null, place), null);
  assert.equal(libraryBase('javascript:alert(1)', place), null);
});

test('a token tells whose it is, and nonsense tells nothing', () => {
  const token = (claims) => 'x.' + Buffer.from(JSON.stringify(claims)).toString('base64url') + '.y';
  assert.equal(tokenRole(token({ role: 'admin', school: '城关第一中学?>' })), 'admin');
  for (const wrong of [null, '', 'a.b.c', 'a', token({}), token({ role: 7 }), token(null)]) assert.equal(tokenRole(wrong), null);
});
