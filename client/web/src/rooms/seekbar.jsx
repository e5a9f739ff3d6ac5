// SPDX-License-Identifier: MIT
// The replay's seek bar: where one is, and what is missing, hatched.
import { h } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { clockText, lengthText } from '../dates.js';
import { language, t } from '../i18n.js';

export function gapReason(gap) {
  const known = ['sender-away', 'no-picture'];
  return t('gap.' + (known.includes(gap.reason) ? gap.reason : 'other'));
}

export function gapText(gap) {
  return t('replay.gap', { time: lengthText(gap.to_s - gap.from_s, language()), reason: gapReason(gap) });
}

function percent(part, whole) {
  return Math.max(0, Math.min(100, (part / whole) * 100)).toFixed(3) + '%';
}

export function SeekBar({ now, total, gaps, onSeek }) {
  const bar = useRef(null);
  const [hover, setHover] = useState(null);
  const [drag, setDrag] = useState(null);
  const timeAt = (event) => {
    const box = bar.current.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * total;
  };
  const down = (event) => {
    bar.current.setPointerCapture(event.pointerId);
    setDrag(timeAt(event));
  };
  const move = (event) => {
    const time = timeAt(event);
    setHover(time);
    if (drag !== null) setDrag(time);
  };
  const up = (event) => {
    if (drag === null) return;
    setDrag(null);
    onSeek(timeAt(event));
  };
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -5, ArrowRight: 5, PageDown: -60, PageUp: 60 }[event.key];
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? total - 1 : step ? now + step : null;
    if (to === null) return;
    event.preventDefault();
    onSeek(Math.max(0, Math.min(total - 0.5, to)));
  };
  const at = drag === null ? now : drag;
  const tip = drag === null ? hover : drag;
  const gap = tip === null ? null : gaps.find((one) => tip >= one.from_s && tip < one.to_s);
  return (
    <div class="seek" ref={bar} role="slider" tabIndex={0} aria-label={t('replay.seek')} aria-valuemin={0}
      aria-valuemax={Math.round(total)} aria-valuenow={Math.round(at)}
      aria-valuetext={t('replay.seekText', { at: clockText(at), total: clockText(total) })}
      onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={() => setDrag(null)}
      onPointerLeave={() => setHover(null)} onKeyDown={onKeyDown}>
      <div class="seek-track">
        <div class="seek-done" style={{ width: percent(at, total) }} />
        {gaps.map((one) => (
          <div class="seek-gap" title={gapText(one)} style={{ left: percent(one.from_s, total), width: percent(one.to_s - one.from_s, total) }} />
        ))}
      </div>
      <div class="seek-knob" style={{ left: percent(at, total) }} />
      {tip !== null && (
        <div class="seek-tip" style={{ left: percent(tip, total) }}>
          {clockText(tip)}
          {gap && <span>{gapText(gap)}</span>}
        </div>
      )}
    </div>
  );
}
