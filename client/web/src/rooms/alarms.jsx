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
    let denied = false;
    const ask = () =>
      getJson(relay.library + '/api/v1/alarms', controller.signal)
        .then(
          (answer) => (Array.isArray(answer.alarms) ? answer.alarms : []),
          (error) => {
            denied = error.denied;
            return [];
          },
        )
        .then((now) => {
          if (controller.signal.aborted) return;
          setAlarms(now);
          if (!denied) timer = setTimeout(ask, ASK_AGAIN_MS);
        });
    ask();
    return () => {
      controller.abort();
      clearTimeout(timer);
      setAlarms([]);
    };
  }, [relay.library, asks, currentToken()]);
  return alarms;
}

// What there is to do, and the figures, which change: only the former is worth being read out anew.
function alarmTexts(alarm) {
  if (alarm.what === 'relay')
    return [
      t(alarm.refused ? 'library.alarmRefused' : 'library.alarmAway'),
      t('library.alarmSince', { at: dateText(new Date(alarm.since), new Date(), language()) }),
    ];
  if (alarm.what === 'write')
    return [t('library.alarmWrite'), t('library.alarmWriteAt', { at: dateText(new Date(alarm.at), new Date(), language()) })];
  if (alarm.what === 'index')
    return [
      t('library.alarmIndex'),
      t('library.alarmSince', { at: dateText(new Date(alarm.since), new Date(), language()) }),
    ];
  if (alarm.what === 'waiting') {
    const names = alarm.count > alarm.names.length ? [...alarm.names, '…'] : alarm.names;
    return [t('library.alarmWaiting'), t('library.alarmWaitingFor', { n: alarm.count, names: names.join(language() === 'zh' ? '、' : ', ') })];
  }
  if (alarm.what !== 'disk') return null;
  return [t(alarm.level === 'full' ? 'library.alarmFull' : 'library.alarmLow'), t('library.alarmFree', { free: sizeText(alarm.free_bytes) })];
}

export function Alarms() {
  return useAlarms().map((alarm) => {
    const texts = alarmTexts(alarm);
    if (!texts) return null;
    const soon = alarm.what === 'disk' && alarm.level === 'low';
    return (
      <p class={'notice' + (soon ? '' : ' grave')} key={alarm.what}>
        <span role={soon ? 'status' : 'alert'}>{texts[0]}</span> {texts[1]}
      </p>
    );
  });
}
