// SPDX-License-Identifier: MIT
// What keeps lessons from being recorded, told to those who can do something about it.
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { getJson } from '../api.js';
import { dateText } from '../dates.js';
import { language, t } from '../i18n.js';
import { relay } from '../relay.js';
import { currentToken, tokenRole } from '../token.js';
import { sizeText } from './panel.jsx';

const ASK_AGAIN_MS = 15000;

// Where there is no key everybody may do everything.
function concerned() {
  if (!relay.library || !relay.info) return false;
  return !relay.info.auth || ['admin', 'sender'].includes(tokenRole(currentToken()));
}

function useAlarms() {
  const [alarms, setAlarms] = useState([]);
  const asks = concerned();
  useEffect(() => {
    if (!asks) return undefined;
    const controller = new AbortController();
    let timer = 0;
    const ask = () =>
      getJson(relay.library + '/api/v1/alarms', controller.signal)
        .then((answer) => setAlarms(Array.isArray(answer.alarms) ? answer.alarms : []))
        .catch(() => {})
        .then(() => {
          if (!controller.signal.aborted) timer = setTimeout(ask, ASK_AGAIN_MS);
        });
    ask();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [relay.library, asks]);
  return alarms;
}

function alarmText(alarm) {
  if (alarm.what === 'write') return t('library.alarmWrite', { at: dateText(new Date(alarm.at), new Date(), language()) });
  if (alarm.what === 'waiting') return t('library.alarmWaiting', { n: alarm.count, names: alarm.names.join(language() === 'zh' ? '、' : ', ') });
  if (alarm.what !== 'disk') return null;
  return t(alarm.level === 'full' ? 'library.alarmFull' : 'library.alarmLow', { free: sizeText(alarm.free_bytes) });
}

export function Alarms() {
  return useAlarms().map((alarm) => {
    const text = alarmText(alarm);
    const soon = alarm.what === 'disk' && alarm.level === 'low';
    return text && <p class={'notice' + (soon ? '' : ' grave')} role={soon ? 'status' : 'alert'}>{text}</p>;
  });
}
