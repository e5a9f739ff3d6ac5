// SPDX-License-Identifier: MIT
// Requests to relay and recorder (docs/api.md), and their addresses.
import { currentToken } from './token.js';

const TIMEOUT_MS = 15000;

export class ApiError extends Error {
  constructor(status, code) {
    super(code || String(status));
    this.status = status; // 0: no answer
    this.code = code;
  }
  get denied() {
    return this.status === 401 || this.status === 403;
  }
}

export function withQuery(address, query) {
  const pairs = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  if (!pairs.length) return address;
  const text = pairs.map(([key, value]) => encodeURIComponent(key) + '=' + encodeURIComponent(value)).join('&');
  return address + (address.includes('?') ? '&' : '?') + text;
}

// For what cannot carry a header: sockets, pictures, playlists, downloads.
export function signed(address) {
  return withQuery(address, { token: currentToken() });
}

export function socketUrl(path, query) {
  const scheme = location.protocol === 'https:' ? 'wss://' : 'ws://';
  return signed(withQuery(scheme + location.host + path, query || {}));
}

export async function getJson(address, signal) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), TIMEOUT_MS);
  if (signal) signal.addEventListener('abort', () => controller.abort());
  const headers = { Accept: 'application/json' };
  if (currentToken()) headers.Authorization = 'Bearer ' + currentToken();
  let response;
  let body;
  try {
    response = await fetch(address, { headers, signal: controller.signal, credentials: 'omit' });
    body = await response.json().catch(() => null);
  } catch (error) {
    throw new ApiError(0, 'no-answer');
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok) throw new ApiError(response.status, body && body.code);
  if (!body || typeof body !== 'object') throw new ApiError(0, 'no-answer');
  return body;
}
