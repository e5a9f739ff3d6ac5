// SPDX-License-Identifier: MIT
// A browser behind a narrow line: a network namespace of its own, and tongke-line between it and the
// one of the test. Needs the right to make both.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, chmodSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { PROGRAMS } from './stack.mjs';

const HERE = '10.78.0.1';
const THERE = '10.78.0.2';

// Not in the machine's own network: tests/driver/apart.py makes another.
export function possible() {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (error) {
    return false;
  }
  return spawnSync('unshare', ['-n', 'true']).status === 0;
}

export class NarrowLine {
  constructor(folder) {
    this.folder = folder;
    this.address = HERE; // of this side, as seen from the other
  }

  async start(settings) {
    this.holder = spawn('unshare', ['-n', 'sh', '-c', 'echo here; exec sleep infinity'], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((done) => this.holder.stdout.once('data', done));
    const args = [String(process.pid), HERE, String(this.holder.pid), THERE, '1'];
    this.line = spawn(join(PROGRAMS, 'tests/line/tongke-line'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.answers = createInterface({ input: this.line.stdout })[Symbol.asyncIterator]();
    await this.answers.next();
    await this.set(settings);
    return this;
  }

  // rate (kbit/s), delay (ms, one way), buffer (KiB), loss (per cent)
  async set(settings) {
    for (const [name, value] of Object.entries(settings)) {
      this.line.stdin.write(name + ' ' + value + '\n');
      const { value: answer } = await this.answers.next();
      if (answer !== 'ok') throw new Error('the line knows no ' + name);
    }
  }

  // A program that runs `path` on the other side.
  wrap(path) {
    const script = join(this.folder, 'there');
    writeFileSync(script, `#!/bin/sh\nexec nsenter --net=/proc/${this.holder.pid}/ns/net ${path} "$@"\n`);
    chmodSync(script, 0o700);
    return script;
  }

  async stop() {
    for (const program of [this.line, this.holder]) {
      if (!program || program.exitCode !== null) continue;
      const gone = new Promise((done) => program.once('exit', done));
      program.kill('SIGKILL');
      await gone;
    }
  }
}
