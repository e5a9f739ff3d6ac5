// SPDX-License-Identifier: MIT
// The technician's sheet: the line in plain numbers, and its last two minutes.
import { h } from 'preact';
import { Sheet } from '../frame.jsx';
import { t } from '../i18n.js';
import { relay } from '../relay.js';

const WIDTH = 480;
const HEIGHT = 96;

// Points of an SVG polyline; holes (null) break it, so that several may come back. Pure.
export function sparkLines(values, most, length) {
  const lines = [];
  let line = [];
  values.forEach((value, index) => {
    if (value === null || value === undefined) {
      if (line.length > 1) lines.push(line.join(' '));
      line = [];
      return;
    }
    const x = ((index + length - values.length) / (length - 1)) * WIDTH;
    const y = HEIGHT - (Math.min(value, most) / most) * HEIGHT;
    line.push(x.toFixed(1) + ',' + y.toFixed(1));
  });
  if (line.length > 1) lines.push(line.join(' '));
  return lines;
}

function Spark({ history }) {
  const values = history.reduce((all, point) => all.concat(point.behind || 0, point.buffer || 0), [1]);
  const most = Math.max.apply(null, values);
  const label = t('sheet.spark', { s: most.toFixed(1) });
  return (
    <figure class="spark">
      <svg viewBox={'0 0 ' + WIDTH + ' ' + HEIGHT} role="img" aria-label={label} preserveAspectRatio="none">
        {sparkLines(history.map((point) => point.buffer), most, 120).map((points) => <polyline class="buffer" points={points} />)}
        {sparkLines(history.map((point) => point.behind), most, 120).map((points) => <polyline class="delay" points={points} />)}
      </svg>
      <figcaption>{label}</figcaption>
    </figure>
  );
}

function codecsOf(mime) {
  const found = /codecs="([^"]*)"/.exec(mime || '');
  return found ? found[1] : null;
}

export function LineSheet({ view, lesson, onClose }) {
  const seconds = (n) => (n === null ? null : t('sheet.seconds', { n: n.toFixed(2) }));
  const format = view.format;
  const size = view.rendition === 'audio' ? t('quality.audio') : view.height ? view.width + '×' + view.height : null;
  const rows = [
    ['delay', seconds(view.behindS)],
    ['buffer', seconds(view.bufferS)],
    ['target', seconds(view.targetS)],
    ['rate', view.rate.toFixed(2) + '×'],
    ['step', view.stepMs === null ? null : t('sheet.ms', { n: Math.round(view.stepMs) })],
    ['bitrate', t('sheet.kbps', { n: Math.round(view.bitrate / 1000) })],
    ['rendition', t('sheet.' + view.rendition)],
    ['size', size],
    ['codec', format && codecsOf(format.mime)],
    ['dropped', view.dropped],
    ['lost', view.lost],
    ['stalls', view.stalls],
    ['resets', view.resets],
    ['reconnects', view.reconnects],
    ['roundTrip', view.roundTripMs === null ? null : t('sheet.ms', { n: Math.round(view.roundTripMs) })],
    ['relay', relay.info && relay.info.name + ' ' + relay.info.version],
    ['lesson', lesson && lesson.id],
  ];
  return (
    <Sheet title={t('sheet.title')} onClose={onClose}>
      <Spark history={view.history} />
      <dl class="numbers">
        {rows.map(([key, value]) => (
          <div>
            <dt>{t('sheet.' + key)}</dt>
            <dd>{value === null || value === undefined ? t('sheet.unknown') : value}</dd>
          </div>
        ))}
      </dl>
    </Sheet>
  );
}
