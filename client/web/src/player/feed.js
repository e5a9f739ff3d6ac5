// SPDX-License-Identifier: MIT
// One stream's WebSocket (docs/protocol.md section 4) and its whole life: connects, hands on what comes,
// comes back by itself for as long as it is wanted.
import { readPiece } from './boxes.js';
import { RENDITIONS, retryDelayMs } from './policy.js';

const SILENCE_LIVE_MS = 8000;
const SILENCE_IDLE_MS = 45000;
const CONNECT_MS = 10000;
// A longer break is not caught up: what was missed is in the library.
const RESUME_MS = 8000;
const TEXT_MAX = 65536;
const CLOSE_OVER = 1000;
const CLOSE_DENIED = 1008;
const CLOSE_FULL = 1013;

// on: {status(status), state(message), rendition(word), init(message), piece(buffer, piece), gap(message)}
// status: 'connecting' | 'open' | 'lost' | 'denied' | 'over'
export class Feed {
  constructor(urlOf, probe, on) {
    this.urlOf = urlOf; // (from | null, the rendition to begin with) => address
    this.probe = probe; // () => Promise<'denied' | 'ok' | 'away'>, asked after a refused connection
    this.on = on;
    this.status = null;
    this.newest = null; // sequence number, where it is one to go on from
    this.chunks = 0;
    this.rendition = 'main'; // what comes on this connection
    this.silent = false; // the last one brought nothing more
    this.state = null;
    this.attempt = 0;
    this.full = false; // the relay was there, and had no room
    this.reconnects = 0;
    this.lostAtMs = null;
    this.retryAtMs = null;
    this.bytes = 0;
    this.socket = null;
    this.opening = false;
    this.timer = 0;
    this.opened = () => {};
    this.onOnline = () => this.hurry();
  }

  start() {
    window.addEventListener('online', this.onOnline);
    this.connect();
  }

  stop() {
    window.removeEventListener('online', this.onOnline);
    clearTimeout(this.timer);
    this.drop();
    this.status = 'stopped';
  }

  get done() {
    return this.status === 'stopped' || this.status === 'over' || this.status === 'denied';
  }

  // Begins anew, from the newest keyframe.
  restart() {
    this.newest = null;
    this.again();
  }

  // Begins anew; goes on where it was if the relay still can.
  again() {
    if (this.done) return;
    clearTimeout(this.timer);
    this.drop();
    this.connect();
  }

  // Leaves the line to others for a while.
  pause() {
    if (this.done) return;
    clearTimeout(this.timer);
    this.drop();
    this.newest = null;
    this.setStatus('paused');
  }

  resume() {
    if (this.status === 'paused') this.again();
  }

  // Does not wait any longer for the next attempt.
  hurry() {
    if (this.status === 'lost') this.again();
  }

  report(message) {
    if (this.socket && this.socket.readyState === 1 && this.socket.bufferedAmount < 4096)
      this.socket.send(JSON.stringify(message));
  }

  // Called a few times a second: notices a line that is dead but not closed.
  tick(nowMs) {
    if (this.socket && this.opening && nowMs - this.since > CONNECT_MS) this.lose();
    if (this.status !== 'open') return;
    const limit = this.state === 'live' ? SILENCE_LIVE_MS : SILENCE_IDLE_MS;
    if (nowMs - this.heardMs <= limit) return;
    this.silent = true;
    this.lose();
  }

  setStatus(status) {
    if (this.status === status) return;
    this.status = status;
    this.on.status(status);
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  connect() {
    this.since = this.heardMs = performance.now();
    this.retryAtMs = null;
    this.opening = true;
    if (this.lostAtMs !== null && this.since - this.lostAtMs > RESUME_MS) this.newest = null;
    if (this.status !== 'lost') this.setStatus('connecting');
    let opened = false;
    // A line that fell silent gets the least; the relay sees what more it carries.
    const least = this.silent ? 'audio' : this.rendition;
    if (least !== 'main') this.newest = null;
    const socket = new WebSocket(this.urlOf(this.newest === null ? null : this.newest + 1, least));
    this.turn('main');
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    socket.onopen = () => {
      opened = true;
      this.opening = false;
      this.heardMs = performance.now();
      if (this.lostAtMs !== null) this.reconnects++;
      this.lostAtMs = null;
      this.opened();
      this.setStatus('open');
    };
    socket.onmessage = (event) => this.take(event.data);
    socket.onclose = (event) => {
      this.socket = null;
      if (event.code === CLOSE_DENIED) this.setStatus('denied');
      else if (event.code === CLOSE_OVER && this.state === 'ended') this.setStatus('over');
      else if (opened) this.lose(event.code === CLOSE_FULL);
      else this.refused();
    };
  }

  refused() {
    const since = this.since;
    this.probe().then((answer) => {
      if (this.socket || this.since !== since || this.status === 'stopped' || this.status === 'paused') return;
      if (answer === 'denied') this.setStatus('denied');
      else this.lose();
    });
  }

  lose(full = false) {
    this.drop();
    this.full = full;
    if (this.lostAtMs === null) this.lostAtMs = performance.now();
    const delay = retryDelayMs(this.attempt++, Math.random());
    this.retryAtMs = performance.now() + delay;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), delay);
    this.setStatus('lost');
  }

  take(data) {
    this.heardMs = performance.now();
    this.full = false;
    this.attempt = 0;
    this.silent = false;
    if (typeof data === 'string') this.takeText(data);
    else this.takePiece(data);
  }

  turn(rendition) {
    if (this.rendition === rendition || !RENDITIONS.includes(rendition)) return;
    this.rendition = rendition;
    this.on.rendition(rendition);
  }

  takeText(text) {
    if (text.length > TEXT_MAX) return;
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      return;
    }
    if (!message || typeof message !== 'object') return;
    if (message.type === 'state') {
      this.state = message.state;
      this.on.state(message);
    } else if (message.type === 'rendition') {
      this.turn(message.rendition);
    } else if (message.type === 'init') {
      this.on.init(message);
    } else if (message.type === 'gap') {
      this.on.gap(message);
    }
  }

  takePiece(buffer) {
    this.bytes += buffer.byteLength;
    const piece = readPiece(buffer);
    if (!piece) return;
    if (piece.kind === 'chunk') {
      this.chunks++;
      this.newest = this.rendition === 'main' ? piece.sequence : null; // others count for themselves
    }
    this.on.piece(buffer, piece);
  }
}
