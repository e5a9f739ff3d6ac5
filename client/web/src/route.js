// SPDX-License-Identifier: MIT
// Rooms are in the fragment: #/now, #/live/<lesson>, #/library?q=…, #/replay/<id>?t=760.
import { withQuery } from './api.js';

const NAME = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

// {room: 'now' | 'live' | 'library' | 'replay' | 'wrong', lesson, query}. Pure.
export function parseRoute(hash) {
  const text = hash.replace(/^#/, '');
  const at = text.indexOf('?');
  const path = at < 0 ? text : text.slice(0, at);
  const query = {};
  new URLSearchParams(at < 0 ? '' : text.slice(at + 1)).forEach((value, key) => (query[key] = value));
  const parts = path.split('/').filter((part) => part);
  const [room, lesson] = parts;
  if (!parts.length) return { room: 'now', query };
  if ((room === 'now' || room === 'library') && parts.length === 1) return { room, query };
  if ((room === 'live' || room === 'replay') && parts.length === 2 && NAME.test(lesson))
    return { room, lesson, query };
  return { room: 'wrong', query };
}

export function href(room, lesson, query) {
  return withQuery('#/' + room + (lesson ? '/' + lesson : ''), query || {});
}
