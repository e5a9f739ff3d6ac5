// SPDX-License-Identifier: MIT
// Dates and times as people write them there: 11月22日 周日 10:05 / Sun 22 Nov, 10:05.

const WEEK_ZH = ['周日', '周一', '周二', '周三', '周四', '周五', '周六'];
const WEEK_EN = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTH_EN = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function two(number) {
  return (number < 10 ? '0' : '') + number;
}

export function timeOfDay(date) {
  return two(date.getHours()) + ':' + two(date.getMinutes());
}

export function dayText(date, now, lang) {
  const otherYear = date.getFullYear() !== now.getFullYear();
  if (lang === 'zh')
    return (otherYear ? date.getFullYear() + '年' : '') + (date.getMonth() + 1) + '月' + date.getDate() + '日 ' + WEEK_ZH[date.getDay()];
  return WEEK_EN[date.getDay()] + ' ' + date.getDate() + ' ' + MONTH_EN[date.getMonth()] + (otherYear ? ' ' + date.getFullYear() : '');
}

export function dateText(date, now, lang) {
  return dayText(date, now, lang) + (lang === 'zh' ? ' ' : ', ') + timeOfDay(date);
}

// A place in a recording, or a length as a label: 12:40, 1:02:40.
export function clockText(seconds) {
  const total = Math.max(0, Math.floor(seconds || 0));
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  return hours ? hours + ':' + two(minutes) + ':' + two(total % 60) : minutes + ':' + two(total % 60);
}

// A length in words: 45 分钟, 1 小时 5 分 / 45 min, 1 h 5 min. Under a minute: seconds.
export function lengthText(seconds, lang) {
  const total = Math.max(0, Math.round(seconds || 0));
  if (total < 60) return lang === 'zh' ? total + ' 秒' : total + ' s';
  const minutes = Math.round(total / 60);
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  if (!hours) return lang === 'zh' ? minutes + ' 分钟' : minutes + ' min';
  if (lang === 'zh') return hours + ' 小时' + (rest ? ' ' + rest + ' 分' : '');
  return hours + ' h' + (rest ? ' ' + rest + ' min' : '');
}

// For <input type=date> and the API's from/to.
export function isoDay(date) {
  return date.getFullYear() + '-' + two(date.getMonth() + 1) + '-' + two(date.getDate());
}
