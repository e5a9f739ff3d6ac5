// SPDX-License-Identifier: MIT
// What is going on: the relay's word about itself and its lessons, kept up to date by the events
// socket (docs/protocol.md section 5).
import { getJson, socketUrl } from './api.js';
import { bestOffset } from './player/clock.js';
import { retryDelayMs } from './player/policy.js';

// As often as that it is made sure that the relay is still there: a line can be dead without being closed.
const ASK_EVERY_MS = 15000;
const ASK_FIRST_MS = 1000;
const ASK_AGAIN_MS = 3000;
const ASK_FIRST_TIMES = 3;
const CONNECT_MS = 10000;
// Of eight minutes.
const CLOCK_SAMPLES = 32;
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
let socket = null;
let connectTimer = 0;
let retryTimer = 0;
let askTimer = 0;
let asked = 0;
let asking = false;

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

function keepAsking() {
  clearTimeout(askTimer);
  if (asking) return;
  asking = true;
  askRelay().then(
    () => {},
    (error) => {
      // A proxy in front says 502 or 504 of a relay that says nothing.
      const silent = error.status === 0 || error.status === 502 || error.status === 504;
      if (silent && relay.status === 'open') lose('lost');
    }
  ).then(() => {
    asking = false;
    const pause = asked++ < ASK_FIRST_TIMES ? ASK_FIRST_MS : relay.info ? ASK_EVERY_MS : ASK_AGAIN_MS;
    askTimer = setTimeout(keepAsking, pause);
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

function drop() {
  clearTimeout(connectTimer);
  clearTimeout(retryTimer);
  const old = socket;
  socket = null;
  if (!old) return;
  old.onopen = old.onmessage = old.onclose = null;
  old.close();
}

function lose(status) {
  drop();
  setStatus(status);
  retryTimer = setTimeout(listen, retryDelayMs(status === 'denied' ? 4 : attempt++, Math.random()));
}

function listen() {
  drop();
  const made = new WebSocket(socketUrl('/api/v1/events'));
  let opened = false;
  socket = made;
  connectTimer = setTimeout(() => lose('lost'), CONNECT_MS);
  made.onopen = () => {
    opened = true;
    clearTimeout(connectTimer);
    setStatus('open');
  };
  made.onmessage = (event) => {
    attempt = 0;
    if (typeof event.data === 'string') take(event.data);
  };
  made.onclose = async (event) => {
    clearTimeout(connectTimer);
    const denied = event.code === 1008 || (!opened && (await probe()) === 'denied');
    if (socket === made) lose(denied ? 'denied' : 'lost');
  };
}

// The line may have come back, or gone, while nobody looked.
function look() {
  if (document.hidden) return;
  if (relay.status === 'lost') listen();
  keepAsking();
}

// With another token other lessons are seen.
export function renewRelay() {
  attempt = 0;
  listen();
}

export function startRelay() {
  window.addEventListener('online', look);
  document.addEventListener('visibilitychange', look);
  keepAsking();
  listen();
}
