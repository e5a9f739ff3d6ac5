// SPDX-License-Identifier: MIT
import { recall, remember } from './prefs.js';
import { en } from './lang/en.js';
import { zh } from './lang/zh.js';

const languages = { zh, en };
const listeners = new Set();
let lang = 'zh';

// "已连接 · 延迟 {s} 秒" with {s: 0.6}. Pure.
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => (values && key in values ? values[key] : whole));
}

export function t(key, values) {
  const text = languages[lang][key];
  return text === undefined ? key : fill(text, values);
}

export function language() {
  return lang;
}

export function setLanguage(next) {
  lang = languages[next] ? next : 'zh';
  remember('lang', lang);
  document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
  for (const listener of Array.from(listeners)) listener();
}

export function onLanguage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// Chinese first: another language only where somebody on this device chose it.
export function startLanguage() {
  setLanguage(recall('lang', 'zh'));
}
