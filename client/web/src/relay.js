// SPDX-License-Identifier: MIT
// What is going on: the relay's word about itself and its lessons, kept up to date by the events
// socket (docs/protocol.md section 5).
import { getJson, socketUrl } from './api.js';
import { bestOffset } from './player/clock.js';
import { retryDelayMs } from './player/policy.js';

const CLOCK_EVERY_MS = 60000;
const CLOCK_SAMPLES = 8;
const LESSONS_MAX = 1000;

export const relay = {
  info: null, // GET /api/v1/relay
  library: undefined, // base address; null: none; undefined: not known yet
  lessons: new Map(),
  status: 'connecting', // 'connecting' | 'open' | 'lost' | 'denied'
  lostAtMs: null,
};

const listeners = new Set();
let samples = [];
let offset = null;
let attempt = 0;

export function watchRelay(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed() {
  for (const listener of Array.from(listeners)) listener();
}

// Now by the relay's clock, ms; null while not known.
export function relayNow() {
  return offset === null ? null : Date.now() + offset.offsetMs;
}

// To the relay and back, ms, as short as it was seen; null while not known.
export function roundTrip() {
  return samples.length ? Math.min(...samples.map((sample) => sample.receivedMs - sample.sentMs)) : null;
}

export function libraryBase(library, place) {
  if (!library) return null;
  if (/^:\d{1,5}$/.test(library)) return place.protocol + '//' + place.hostname + library;
  return /^https?:\/\//.test(library) ? library.replace(/\/+$/, '') : null;
}

async function askRelay() {
  const sentMs = Date.now();
  const info = await getJson('/api/v1/relay');
  const receivedMs = Date.now();
  const serverMs = Date.parse(info.now);
  if (serverMs) {
    samples.push({ sentMs, receivedMs, serverMs, resolutionMs: 1 });
    samples = samples.slice(-CLOCK_SAMPLES);
  }
  // A relay that does not tell the time is taken to have ours.
  offset = bestOffset(samples) || { offsetMs: 0, errorMs: Infinity };
  relay.info = info;
  relay.library = libraryBase(info.library, location);
  changed();
}

function keepAsking(times) {
  askRelay().catch(() => {}).then(() => {
    setTimeout(() => keepAsking(Math.max(0, times - 1)), times > 0 ? 1000 : relay.info ? CLOCK_EVERY_MS : 3000);
  });
}

function take(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch (error) {
    return;
  }
  if (message.type === 'snapshot' && Array.isArray(message.lessons))
    relay.lessons = new Map(message.lessons.slice(0, LESSONS_MAX).map((lesson) => [lesson.id, lesson]));
  else if (message.lesson && message.lesson.id) relay.lessons.set(message.lesson.id, message.lesson);
  changed();
}

function setStatus(status) {
  if (relay.status === status) return;
  relay.status = status;
  relay.lostAtMs = status === 'lost' ? Date.now() : null;
  changed();
}

// Why a socket was refused: browsers do not tell, so ask by HTTP.
export async function probe() {
  try {
    await getJson('/api/v1/lessons');
    return 'ok';
  } catch (error) {
    return error.denied ? 'denied' : 'away';
  }
}

function listen() {
  const socket = new WebSocket(socketUrl('/api/v1/events'));
  let opened = false;
  socket.onopen = () => {
    opened = true;
    setStatus('open');
  };
  socket.onmessage = (event) => {
    attempt = 0;
    if (typeof event.data === 'string') take(event.data);
  };
  socket.onclose = async (event) => {
    const denied = event.code === 1008 || (!opened && (await probe()) === 'denied');
    setStatus(denied ? 'denied' : 'lost');
    setTimeout(listen, retryDelayMs(denied ? 4 : attempt++, Math.random()));
  };
}

export function startRelay() {
  keepAsking(3);
  listen();
}
