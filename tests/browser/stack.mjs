// SPDX-License-Identifier: MIT
// The real programs for the browser tests: relay, recorder and capture on free ports, each started
// and stopped by itself. Waits for what they say, never for a time.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const PROGRAMS = resolve(ROOT, process.env.TONGKE_BUILD || 'build');
const PATIENCE_MS = 60000;
const STOP_MS = 15000;

// Resolves when `look` gives something; fails with what the program said.
class Program {
  constructor(name, path, args) {
    this.name = name;
    this.said = '';
    this.listeners = new Set();
    this.child = spawn(resolve(PROGRAMS, path), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.exited = new Promise((done) => this.child.on('exit', (code, signal) => done({ code, signal })));
    this.exited.then(() => (this.gone = true));
    const hear = (data) => {
      this.said = (this.said + data).slice(-65536);
      for (const listener of Array.from(this.listeners)) listener();
    };
    this.child.stdout.on('data', hear);
    this.child.stderr.on('data', hear);
    this.child.on('error', (error) => hear(String(error)));
  }

  until(pattern) {
    return new Promise((done, fail) => {
      const end = (act) => {
        clearTimeout(timer);
        this.listeners.delete(look);
        act();
      };
      const look = () => {
        const match = pattern.exec(this.said);
        if (match) end(() => done(match));
      };
      const timer = setTimeout(() => end(() => fail(new Error(`${this.name} never said ${pattern}:\n${this.said}`))), PATIENCE_MS);
      this.listeners.add(look);
      this.exited.then(({ code }) => end(() => fail(new Error(`${this.name} ended (${code}):\n${this.said}`))));
      look();
    });
  }

  // True if it went when asked to.
  async stop(signal = 'SIGTERM') {
    if (!this.gone) this.child.kill(signal);
    const timer = setTimeout(() => {
      this.stubborn = true;
      this.child.kill('SIGKILL');
    }, STOP_MS);
    await this.exited;
    clearTimeout(timer);
    return !this.stubborn;
  }
}

function freePort() {
  return new Promise((done, fail) => {
    const server = createServer();
    server.on('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

// On a connection of its own: one kept from before a restart would be dead.
export function ask(url, method = 'GET', token = null) {
  return new Promise((done, fail) => {
    const headers = token ? { Authorization: 'Bearer ' + token } : {};
    const asked = request(url, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece) => (text += piece));
      response.on('end', () => (response.statusCode < 300 ? done(text) : fail(new Error(url + ': ' + response.statusCode))));
      response.on('error', fail);
    });
    asked.on('error', fail);
    asked.end();
  });
}

export class Stack {
  // With `key` everybody needs a token.
  constructor({ key = false } = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'tongke-browser-'));
    this.data = join(this.folder, 'library');
    mkdirSync(this.data);
    this.programs = [];
    this.tokens = {};
    this.webPort = 0;
    this.rtspPort = 0;
    if (!key) return;
    this.key = join(this.folder, 'key');
    execFileSync(join(PROGRAMS, 'client/ctl/tongkectl'), ['key', 'new', this.key], { stdio: 'ignore' });
    for (const role of ['viewer', 'sender', 'recorder', 'admin']) {
      this.tokens[role] = this.token(role);
      writeFileSync(this.tokenFile(role), this.tokens[role] + '\n', { mode: 0o600 });
    }
  }

  token(role, ...more) {
    const args = ['token', '--key', this.key, '--role', role, ...more];
    return execFileSync(join(PROGRAMS, 'client/ctl/tongkectl'), args, { encoding: 'utf8' }).trim();
  }

  tokenFile(role) {
    return join(this.folder, role);
  }

  run(name, path, args) {
    const program = new Program(name, path, args);
    this.programs.push(program);
    return program;
  }

  async start() {
    this.libraryPort = await freePort();
    await this.startRelay();
    await this.startRecorder();
  }

  // A second time: on the same ports.
  async startRelay(more = {}) {
    const settings = {
      'web.port': this.webPort,
      'rtsp.port': this.rtspPort,
      'rtsp.rtp_port': 0,
      'web.page': join(PROGRAMS, 'client/web/dist'),
      ...more,
    };
    if (this.libraryPort) settings['web.library'] = ':' + this.libraryPort;
    if (this.key) settings['auth.key_file'] = this.key;
    const args = Object.entries(settings).flatMap(([key, value]) => ['--set', key + '=' + value]);
    this.relay = this.run('relay', 'relay/tongke-relay', args);
    this.webPort = Number((await this.relay.until(/listening http \S*?:(\d+)/))[1]);
    this.rtspPort = Number((await this.relay.until(/listening rtsp \S*?:(\d+)/))[1]);
    this.page = `http://127.0.0.1:${this.webPort}/`;
    this.library = `http://127.0.0.1:${this.libraryPort}`;
  }

  async startRecorder(more = {}) {
    this.recorder = this.run('recorder', 'recorder/tongke-recorder', [
      '--data', this.data, '--relay', this.page.slice(0, -1), '--set', 'http.port=' + this.libraryPort,
      ...Object.entries(more).flatMap(([key, value]) => ['--set', key + '=' + value]),
      ...(this.key ? ['--set', 'auth.key_file=' + this.key, '--set', 'relay.token_file=' + this.tokenFile('recorder')] : []),
    ]);
    await this.recorder.until(/listening http/);
  }

  // A lesson from the sample footage where it is there, else the built-in test lesson.
  async startLesson(name, info = {}, id = null) {
    const media = join(ROOT, '../shared/media');
    const files = existsSync(join(media, 'teacher.mp4')) && existsSync(join(media, 'slides.mp4'));
    const source = files
      ? ['--source', join(media, 'teacher.mp4'), '--slides', join(media, 'slides.mp4'), '--loop', '--copy', 'always']
      : ['--source', 'test', '--slides', 'test', '--size', '640x360'];
    const words = Object.entries(info).flatMap(([key, value]) => ['--' + key, value]);
    const again = id ? ['--lesson-id', id] : [];
    await this.send(name, [...source, ...words, ...again], 2);
    return (await this.lesson(name)).id;
  }

  // Until so many streams of it are there.
  async send(name, options, count) {
    this.capture = this.run('capture', 'client/capture/tongke-capture', [
      '--relay', `rtsp://127.0.0.1:${this.rtspPort}/${name}`, '--keep', 'none', ...options,
      ...(this.key ? ['--token-file', this.tokenFile('sender')] : []),
    ]);
    const streams = (lesson) => lesson.streams.filter((stream) => stream.state === 'live').length;
    await this.eventually(async () => {
      const lesson = await this.lesson(name);
      return lesson && lesson.state === 'live' && streams(lesson) === count;
    }, this.capture);
  }

  async lesson(name) {
    const { lessons } = JSON.parse(await ask(this.page + 'api/v1/lessons', 'GET', this.tokens.viewer));
    return lessons.find((lesson) => lesson.name === name) || null;
  }

  async recording(id) {
    return JSON.parse(await ask(`${this.library}/api/v1/recordings/${id}`, 'GET', this.tokens.viewer));
  }

  // Asks until the answer is yes.
  async eventually(holds, program) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      if (await holds().catch(() => false)) return;
      if (program && program.gone) throw new Error(program.name + ' ended:\n' + program.said);
      if (Date.now() > end) throw new Error('never became true: ' + holds + '\n' + (program ? program.said : ''));
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  async stop() {
    const stubborn = [];
    for (const program of this.programs.reverse()) if (!(await program.stop())) stubborn.push(program.name + ':\n' + program.said);
    rmSync(this.folder, { recursive: true, force: true });
    if (stubborn.length) throw new Error('did not stop when asked to:\n' + stubborn.join('\n'));
  }
}
