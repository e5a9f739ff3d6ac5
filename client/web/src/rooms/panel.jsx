// SPDX-License-Identifier: MIT
// The replay's side panel: what lesson this is, what is missing of it, and its files.
import { h } from 'preact';
import { signed } from '../api.js';
import { clockText, dateText, lengthText } from '../dates.js';
import { language, t } from '../i18n.js';
import { Icon } from '../icons.jsx';
import { relay } from '../relay.js';
import { gapReason } from './seekbar.jsx';

const FIELDS = ['subject', 'stage', 'grade', 'edition', 'volume', 'unit', 'type', 'teacher', 'school', 'alliance', 'room', 'description'];

// 412000000 as 412 MB. Pure.
export function sizeText(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = Math.max(0, bytes || 0);
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return (value < 10 && unit ? value.toFixed(1) : Math.round(value)) + ' ' + units[unit];
}

function Downloads({ recording }) {
  const known = recording.streams.filter((stream) => stream.download && (stream.name === 'main' || stream.name === 'slides'));
  if (recording.state !== 'closed' || !known.length) return null;
  return (
    <section>
      <h3>{t('replay.download')}</h3>
      {known.map((stream) => (
        <a class="button plain wide" href={signed(relay.library + stream.download)} download>
          <Icon name="download" />
          <span>{t('replay.downloadOf', { name: t('stream.' + stream.name), size: sizeText(stream.size_bytes) })}</span>
        </a>
      ))}
    </section>
  );
}

function Gaps({ gaps, onSeek }) {
  if (!gaps.length) return null;
  return (
    <section>
      <h3>{t('replay.gaps')}</h3>
      <ul class="gaps">
        {gaps.map((gap) => (
          <li>
            <button class="line" onClick={() => onSeek(gap.to_s)}>
              <span class="line-time">{t('replay.gapAt', { from: clockText(gap.from_s), to: clockText(gap.to_s) })}</span>
              <span>{gap.healed ? t('replay.healed') : gapReason(gap)} · {t(gap.stream === 'slides' ? 'stream.slides' : 'stream.main')}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Panel({ recording, onSeek, onClose }) {
  const info = recording.info || {};
  const rows = FIELDS.filter((field) => info[field]).map((field) => [t('info.' + field), info[field]]);
  rows.push([t('info.date'), dateText(new Date(recording.started), new Date(), language())]);
  rows.push([t('info.length'), lengthText(recording.duration_s, language())]);
  return (
    <aside class="panel" aria-label={t('replay.panel')}>
      <div class="sheet-head">
        <h2>{t('replay.info')}</h2>
        <button class="control" aria-label={t('replay.panelClose')} onClick={onClose}><Icon name="close" /></button>
      </div>
      <dl class="facts">
        {rows.map(([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Gaps gaps={recording.gaps || []} onSeek={onSeek} />
      <Downloads recording={recording} />
    </aside>
  );
}
