// SPDX-License-Identifier: MIT
// Teacher and slides on the dark stage, in four layouts, and what live room and replay share of
// controls around it.
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { t } from './i18n.js';
import { Icon } from './icons.jsx';
import { recall, remember } from './prefs.js';

export const LAYOUTS = ['corner', 'side', 'slides', 'main'];
const QUIET_AFTER_MS = 4000;

// [layout {name, swap}, next(), swap()], remembered on this device.
export function useLayout() {
  const [layout, set] = useState(() => {
    const kept = recall('layout', null);
    return kept && LAYOUTS.includes(kept.name) ? { name: kept.name, swap: !!kept.swap } : { name: 'corner', swap: false };
  });
  const change = (next) => {
    remember('layout', next);
    set(next);
  };
  const next = () => change({ name: LAYOUTS[(LAYOUTS.indexOf(layout.name) + 1) % LAYOUTS.length], swap: false });
  const swap = () => change({ name: layout.name, swap: !layout.swap });
  return [layout, next, swap];
}

// The <video> elements are never taken away: the players hold on to them. `has`: {main, slides}.
export function Stage({ layout, has, mainRef, slidesRef, onSwap, onTap }) {
  const both = has.main && has.slides;
  const name = both ? layout.name : has.slides ? 'slides' : 'main';
  const small = name === 'corner' && both ? (layout.swap ? 'slides' : 'main') : null;
  const classes = ['stage', 'layout-' + name, layout.swap ? 'swapped' : ''].join(' ');
  return (
    <div class={classes} onClick={(event) => event.target.tagName !== 'BUTTON' && onTap && onTap()}>
      <video class="slides" ref={slidesRef} playsInline muted preload="auto" aria-label={t('live.pictureSlides')} tabIndex={-1} />
      <video class="main" ref={mainRef} playsInline preload="auto" aria-label={t('live.pictureMain')} tabIndex={-1} />
      {small && <button class="swap" aria-label={t('bar.swap')} title={t('bar.swap')} onClick={onSwap} />}
    </div>
  );
}

export function Control({ icon, label, text, onClick, pressed, hidden, worded }) {
  if (hidden) return null;
  return (
    <button class={worded ? 'control worded' : 'control'} aria-label={label} title={label} aria-pressed={pressed === undefined ? null : String(pressed)} onClick={onClick}>
      <Icon name={icon} />
      {text && <span>{text}</span>}
    </button>
  );
}

export function LayoutControl({ layout, next, hidden }) {
  const name = t('layout.' + layout.name);
  return <Control icon={'layout-' + layout.name} label={t('bar.layoutNext', { name })} text={name} onClick={next} hidden={hidden} />;
}

export function toggleFull(element) {
  const full = document.fullscreenElement || document.webkitFullscreenElement;
  const act = full
    ? document.exitFullscreen || document.webkitExitFullscreen
    : element.requestFullscreen || element.webkitRequestFullscreen;
  if (!act) return;
  const promise = act.call(full ? document : element);
  if (promise && promise.catch) promise.catch(() => {});
}

export function FullControl({ target }) {
  const [full, setFull] = useState(false);
  useEffect(() => {
    const look = () => setFull(!!(document.fullscreenElement || document.webkitFullscreenElement));
    const names = ['fullscreenchange', 'webkitfullscreenchange'];
    names.forEach((name) => document.addEventListener(name, look));
    return () => names.forEach((name) => document.removeEventListener(name, look));
  }, []);
  if (!document.fullscreenEnabled && !document.webkitFullscreenEnabled) return null;
  const label = t(full ? 'bar.fullOff' : 'bar.full');
  return <Control icon={full ? 'fullOff' : 'full'} label={label} text={label} onClick={() => toggleFull(target.current)} />;
}

// Whether the controls should be out of the way: nothing was touched for a while. What had the
// focus gives it up, so that the next key brings both back together.
export function useQuiet(allowed) {
  const [quiet, setQuiet] = useState(false);
  useEffect(() => {
    let timer = 0;
    const wake = () => {
      setQuiet(false);
      clearTimeout(timer);
      if (!allowed) return;
      timer = setTimeout(() => {
        const active = document.activeElement;
        if (active && active !== document.body && active.blur) active.blur();
        setQuiet(true);
      }, QUIET_AFTER_MS);
    };
    const names = ['pointermove', 'pointerdown', 'keydown', 'focusin'];
    names.forEach((name) => document.addEventListener(name, wake));
    wake();
    return () => {
      clearTimeout(timer);
      names.forEach((name) => document.removeEventListener(name, wake));
    };
  }, [allowed]);
  return quiet && allowed;
}

// A classroom's screen must not fall asleep in the lesson.
export function useAwake(wanted) {
  useEffect(() => {
    if (!wanted || !navigator.wakeLock) return undefined;
    let lock = null;
    let over = false;
    const take = () => {
      if (document.hidden) return;
      navigator.wakeLock.request('screen').then(
        (got) => {
          lock = got;
          if (over) lock.release();
        },
        () => {}
      );
    };
    take();
    document.addEventListener('visibilitychange', take);
    return () => {
      over = true;
      document.removeEventListener('visibilitychange', take);
      if (lock) lock.release();
    };
  }, [wanted]);
}
