// SPDX-License-Identifier: MIT
// Bundles the page: node build.mjs OUTPUT-FOLDER [DEPENDENCY-FILE]
import { build } from 'esbuild';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] || join(here, 'dist'));
const copied = ['index.html', 'guard.js', 'mark.svg'];

await mkdir(out, { recursive: true });
const common = {
  absWorkingDir: here,
  outdir: out,
  bundle: true,
  minify: true,
  // Syntax is lowered to what the oldest classroom browser reads; functions it lacks are not added
  // (tests/unit/web/baseline.test.mjs watches for those).
  target: ['chrome70'],
  jsx: 'transform',
  jsxFactory: 'h',
  jsxFragment: 'Fragment',
  alias: { 'hls.js': 'hls.js/light' },
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
};
// Who watches live does not wait for what plays recordings: most of it all, imported by its address.
const made = await Promise.all([
  build({ ...common, entryPoints: { app: 'src/app.jsx', style: 'src/style.css' }, format: 'iife' }),
  build({ ...common, entryPoints: { player: 'src/player/replay.js' }, format: 'esm' }),
]);
for (const name of copied) await copyFile(join(here, 'src', name), join(out, name));

const licences = [];
for (const name of ['preact', 'hls.js']) {
  const folder = join(here, 'node_modules', name);
  const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  licences.push(`${name} ${version} (${license})\n\n${await readFile(join(folder, 'LICENSE'), 'utf8')}`);
}
await writeFile(join(out, 'licences.txt'), licences.join('\n\n'));

// What ninja has to watch.
if (process.argv[3]) {
  const inputs = made.flatMap((one) => Object.keys(one.metafile.inputs)).concat(copied.map((name) => 'src/' + name), 'build.mjs');
  const paths = inputs.map((name) => join(here, name).replace(/ /g, '\\ '));
  const target = relative(process.cwd(), join(out, 'app.js')).replace(/ /g, '\\ ');
  await writeFile(process.argv[3], target + ': ' + paths.join(' ') + '\n');
}
