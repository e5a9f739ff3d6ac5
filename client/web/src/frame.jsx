// SPDX-License-Identifier: MIT
// What all rooms but the dark ones share: a rail of rooms (tabs at the bottom on phones).
import { h } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { language, setLanguage, t } from './i18n.js';
import { Icon } from './icons.jsx';
import { relay } from './relay.js';
import { href } from './route.js';

const ROOMS = ['now', 'library'];

export function LanguageButton() {
  const other = language() === 'zh' ? 'en' : 'zh';
  return (
    <button class="tab" lang={other === 'zh' ? 'zh-CN' : 'en'} aria-label={t('app.otherLabel')} onClick={() => setLanguage(other)}>
      <Icon name="language" />
      <span>{t('app.other')}</span>
    </button>
  );
}

// Seconds since `sinceMs` (Date), redrawn each second.
export function useSeconds(sinceMs) {
  const [, redraw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => redraw((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return sinceMs === null || sinceMs === undefined ? 0 : Math.max(0, Math.floor((Date.now() - sinceMs) / 1000));
}

function LostNotice() {
  const seconds = useSeconds(relay.lostAtMs);
  return (
    <p class="notice">
      <span>
        <span role="status">{t('app.notice.lost')}</span> {t('app.waited', { s: seconds })}
      </span>
    </p>
  );
}

export function Frame({ room, children }) {
  return (
    <div class="frame">
      <a class="skip" href={location.hash || '#/now'} onClick={(event) => {
        event.preventDefault();
        document.getElementById('content').focus();
      }}>
        {t('app.skip')}
      </a>
      <nav class="rail" aria-label={t('app.rooms')}>
        <div class="mark" aria-hidden="true">{t('app.name')}</div>
        {ROOMS.map((name) => (
          <a class="tab" href={href(name)} aria-current={room === name ? 'page' : null}>
            <Icon name={name} />
            <span>{t(name + '.title')}</span>
          </a>
        ))}
        <div class="spring" />
        <LanguageButton />
      </nav>
      <main id="content" tabIndex={-1}>
        {relay.status === 'lost' && <LostNotice />}
        {children}
      </main>
    </div>
  );
}

// A large sentence where a room has nothing else to show. `live`: read out as it comes, but for what counts and
// what is there to be used.
export function Sign({ title, counting, how, live, children }) {
  return (
    <div class="sign">
      <div role={live ? 'status' : null}>
        <p class="sign-title">
          {title}
          {counting && <span aria-hidden="true"> {counting}</span>}
        </p>
        {how && <p class="sign-how">{how}</p>}
      </div>
      {children && <div class="sign-ways">{children}</div>}
    </div>
  );
}

export function WrongLink() {
  useTitle(t('live.wrong'));
  return (
    <div>
      <h1 class="unseen">{t('app.name')}</h1>
      <Sign title={t('live.wrong')} how={t('live.wrongHow')}>
        <a class="button" href={href('now')}>{t('now.title')}</a>
        <a class="button plain" href={href('library')}>{t('library.title')}</a>
      </Sign>
    </div>
  );
}

export function useTitle(title) {
  useEffect(() => {
    document.title = title + ' · ' + t('app.name');
  }, [title, language()]);
}

// The chips of a lesson: subject, grade, edition.
export function Chips({ info }) {
  const words = [info.subject, info.grade, info.edition].filter((word) => word);
  if (!words.length) return null;
  return (
    <span class="chips">
      {words.map((word) => (
        <span class="chip">{word}</span>
      ))}
    </span>
  );
}

export function byLine(info) {
  return [info.teacher, info.school].filter((word) => word).join(' · ');
}

export function lessonTitle(lesson) {
  return (lesson.info && lesson.info.title) || lesson.name || t('now.untitled');
}

// A picture where there is one, else the subject in large letters: calm either way.
export function Poster({ address, info, children }) {
  const [broken, setBroken] = useState(null);
  return (
    <span class="poster">
      {address && broken !== address ? (
        <img src={address} alt="" loading="lazy" onError={() => setBroken(address)} />
      ) : (
        <span class="poster-word" aria-hidden="true">{info.subject || t('app.name')}</span>
      )}
      {children}
    </span>
  );
}

// Tab goes round inside `panel`.
function keepFocus(event, panel) {
  const inside = Array.from(panel.querySelectorAll('a[href], button, input, select'));
  const [edge, other] = event.shiftKey ? [inside[0], inside[inside.length - 1]] : [inside[inside.length - 1], inside[0]];
  const at = document.activeElement;
  if (panel.contains(at) && at !== edge && !(at === panel && event.shiftKey)) return;
  event.preventDefault();
  other.focus();
}

// A panel over the room that holds the focus until it is closed. Its keys are heard wherever the focus
// is: it may still be on what opened it, or on nothing.
export function Sheet({ title, onClose, children }) {
  const panel = useRef(null);
  const close = useRef(onClose);
  close.current = onClose;
  useLayoutEffect(() => {
    const before = document.activeElement;
    const onKeyDown = (event) => {
      if (event.key === 'Escape') close.current();
      if (event.key === 'Tab') keepFocus(event, panel.current);
    };
    window.addEventListener('keydown', onKeyDown);
    panel.current.focus();
    return () => {
      window.removeEventListener('keydown', onKeyDown);
      if (before && before.focus) before.focus();
    };
  }, []);
  return (
    <div class="sheet-ground" onClick={(event) => event.target === event.currentTarget && onClose()}>
      <div class="sheet" role="dialog" aria-modal="true" aria-label={title} data-modal tabIndex={-1} ref={panel}>
        <div class="sheet-head">
          <h2>{title}</h2>
          <button class="control" aria-label={t('app.close')} onClick={onClose}>
            <Icon name="close" />
          </button>
        </div>
        {children}
      </div>
    </div>
  );
}
