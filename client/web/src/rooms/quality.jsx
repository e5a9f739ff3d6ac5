// SPDX-License-Identifier: MIT
// What the lesson comes in: chosen here once for this device, and said when the line changes it.
import { h } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n.js';
import { Icon } from '../icons.jsx';
import { recall, remember } from '../prefs.js';

const WISHES = ['main', 'low', 'audio'];
const SAY_MS = 8000;
const SAY_BACK_MS = 4000;

// Which of them this lesson has.
export function renditionsOf(lesson) {
  const streams = (lesson && lesson.streams) || [];
  const has = (name) => streams.some((stream) => stream.name === name && stream.state === 'live');
  const main = streams.find((stream) => stream.name === 'main');
  return WISHES.filter((name) => name === 'main' || (name === 'low' && has('low')) || (name === 'audio' && main && main.audio));
}

// [what is wished for on this device, wish(rendition)]
export function useWish() {
  const [wish, set] = useState(() => {
    const kept = recall('quality', 'main');
    return WISHES.includes(kept) ? kept : 'main';
  });
  const change = (next) => {
    remember('quality', next);
    set(next);
  };
  return [wish, change];
}

// 720p, or the rendition's name where it has no picture or is not the best.
export function nameOfShown(view) {
  if (!view) return null;
  if (view.rendition !== 'main') return t('quality.' + view.rendition);
  return view.height ? view.height + 'p' : null;
}

function choiceText(wish, view) {
  const shown = nameOfShown(view);
  if (wish !== 'main') return t('quality.' + wish);
  return shown ? t('bar.qualityAuto', { name: shown }) : t('quality.main');
}

function Choices({ wish, choices, view, onWish, onClose }) {
  const panel = useRef(null);
  useLayoutEffect(() => panel.current.querySelector('[aria-checked=true]').focus(), []);
  useEffect(() => {
    const onKey = (event) => {
      if (event.key !== 'Escape' && event.key !== 'Tab') return;
      event.preventDefault();
      onClose();
    };
    const onDown = (event) => !panel.current.parentNode.contains(event.target) && onClose();
    document.addEventListener('keydown', onKey);
    document.addEventListener('pointerdown', onDown);
    return () => {
      document.removeEventListener('keydown', onKey);
      document.removeEventListener('pointerdown', onDown);
    };
  }, []);
  const shown = nameOfShown(view);
  return (
    <div class="choices" role="radiogroup" aria-label={t('bar.quality')} data-modal ref={panel}>
      {choices.map((name) => (
        <button class="choice" role="radio" aria-checked={String(wish === name)} onClick={() => onWish(name)}>
          <span class="choice-name">{t('quality.' + name)}</span>
          <span class="choice-how">{name === 'main' && shown ? t('quality.mainNow', { name: shown }) : t('quality.' + name + 'How')}</span>
        </button>
      ))}
    </div>
  );
}

export function QualityControl({ wish, choices, view, onWish }) {
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const close = () => {
    setOpen(false);
    button.current.focus();
  };
  const text = choiceText(choices.includes(wish) ? wish : 'main', view);
  const label = t('bar.qualityNow', { name: text });
  const choose = (name) => {
    onWish(name);
    close();
  };
  return (
    <div class="quality">
      {open && <Choices wish={choices.includes(wish) ? wish : 'main'} choices={choices} view={view} onWish={choose} onClose={close} />}
      <button class="control" ref={button} aria-label={label} title={label} aria-expanded={String(open)} onClick={() => (open ? close() : setOpen(true))}>
        <Icon name="quality" />
        <span>{text}</span>
      </button>
    </div>
  );
}

// What is to be said: {text, stays} or null. Pure. `before`: the rendition shown until now.
export function sentence(view, before) {
  const asked = view.wish === view.rendition;
  if (view.rendition === 'audio') {
    if (view.slidesPaused) return { key: 'line.audioAlone', stays: true };
    return asked ? { key: 'line.audioAsked', stays: false } : { key: 'line.audio', stays: true };
  }
  if (view.rendition === 'low') return asked ? null : { key: 'line.low', stays: false };
  return before !== view.rendition ? { key: 'line.well', stays: false } : null;
}

// The sentence over the picture while the line changes what comes. For its time only, or while it holds.
export function Told({ view }) {
  const [told, setTold] = useState(null);
  const before = useRef('main');
  const live = !!view && view.phase === 'live' && view.main;
  const rendition = live ? view.rendition : null;
  const said = live ? sentence(view, before.current) : null;
  const key = said && said.key;
  useEffect(() => {
    if (rendition === null) return undefined;
    before.current = rendition;
    setTold(key);
    if (!key || said.stays) return undefined;
    const timer = setTimeout(() => setTold(null), key === 'line.well' ? SAY_BACK_MS : SAY_MS);
    return () => clearTimeout(timer);
  }, [rendition, live && view.wish, live && view.slidesPaused]);
  if (!live || !told) return null;
  return <p class={'told' + (told === 'line.well' ? ' good' : '')} role="status">{t(told)}</p>;
}
