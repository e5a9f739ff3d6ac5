// SPDX-License-Identifier: MIT
// esbuild lowers syntax to Chromium 70, not functions and style: what came later must not be used.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const SOURCE = new URL('../../../client/web/src/', import.meta.url);
const LATER = {
  js: [
    /\.at\(/, /\.flatMap\(.*\)\.at/, /Object\.fromEntries/, /\.matchAll\(/, /\.replaceAll\(/, /Promise\.(allSettled|any|withResolvers)/,
    /AbortSignal\.(timeout|any)/, /\bglobalThis\b/, /structuredClone/, /queueMicrotask/, /\.replaceChildren\(/, /Intl\.(RelativeTimeFormat|ListFormat|DisplayNames)/,
    /\.findLast(Index)?\(/, /\.to(Sorted|Reversed|Spliced)\(/, /\bWeakRef\b/, /Object\.(hasOwn|groupBy)/, /crypto\.randomUUID/, /new ResizeObserver/, /\.isComposing\b.*\?\./,
  ],
  css: [
    /\b(clamp|min|max)\(/, /(^|\s)inset:/m, /aspect-ratio:/, /:focus-visible/, /:(is|where|has)\(/, /[^-]\b(row-|column-)?gap:/, /\d(dvh|svh|lvh)\b/,
    /overflow-wrap:\s*anywhere/, /backdrop-filter/, /@layer|@container/, /place-(items|content):/, /(margin|padding|border)-(inline|block)/, /accent-color/, /color-mix\(/,
  ],
};

for (const [kind, patterns] of Object.entries(LATER)) {
  test('only what Chromium 70 has: ' + kind, () => {
    const files = readdirSync(SOURCE, { recursive: true }).filter((name) => new RegExp('\\.' + kind + 'x?$').test(name));
    assert.ok(files.length);
    for (const name of files) {
      const text = readFileSync(new URL(name, SOURCE), 'utf8').replace(/\/\*[^]*?\*\/|\/\/ .*/g, '');
      for (const pattern of patterns) assert.doesNotMatch(text, pattern, name + ': ' + pattern);
    }
  });
}
