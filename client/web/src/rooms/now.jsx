// SPDX-License-Identifier: MIT
// 正在上课: what is on now; a classroom's screen enters the running lesson by itself.
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { getJson, signed, withQuery } from '../api.js';
import { isoDay, lengthText, timeOfDay } from '../dates.js';
import { Chips, Poster, Sign, byLine, lessonTitle, useSeconds, useTitle } from '../frame.jsx';
import { language, t } from '../i18n.js';
import { recall, remember } from '../prefs.js';
import { relay, relayNow } from '../relay.js';
import { href } from '../route.js';

const ENTER_AFTER_S = 6;
const LOOK_EVERY_MS = 20000;

// Running lessons, most watched first.
export function running(lessons) {
  const watchers = (lesson) => (lesson.viewers ? (lesson.viewers.ws || 0) + (lesson.viewers.rtp || 0) : 0);
  return Array.from(lessons)
    .filter((lesson) => lesson.state === 'live' || lesson.state === 'away')
    .sort((a, b) => (b.schools || 0) - (a.schools || 0) || watchers(b) - watchers(a) || (a.started < b.started ? 1 : -1));
}

function Card({ lesson, large, poster }) {
  const info = lesson.info || {};
  const now = relayNow() || Date.now();
  const since = (now - Date.parse(lesson.started)) / 1000;
  const away = lesson.state === 'away';
  return (
    <a class={'card' + (large ? ' large' : '')} href={href('live', lesson.name)}>
      <Poster address={poster && signed(relay.library + poster)} info={info}>
        <span class={'live-tag' + (away ? ' away' : '')}>
          <span class="dot" />
          {away ? t('now.away') : t('now.live')}
        </span>
      </Poster>
      <span class="card-text">
        <Chips info={info} />
        <span class="card-title">{lessonTitle(lesson)}</span>
        {byLine(info) && <span class="card-by">{byLine(info)}</span>}
        <span class="card-meta">
          {since >= 0 && t('now.since', { time: lengthText(since, language()) })}
          {lesson.schools > 0 && ' · ' + t('now.schools', { n: lesson.schools })}
        </span>
      </span>
    </a>
  );
}

// Today's recordings; asked again when a lesson comes or goes, and now and then for their stills.
function useToday(running) {
  const [today, setToday] = useState([]);
  useEffect(() => {
    if (!relay.library) return undefined;
    const controller = new AbortController();
    const look = () => {
      const day = isoDay(new Date());
      getJson(withQuery(relay.library + '/api/v1/recordings', { from: day, to: day, limit: 24 }), controller.signal).then(
        (answer) => setToday(answer.recordings || []),
        () => {}
      );
    };
    look();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [relay.library, running]);
  return today;
}

function Earlier({ recordings }) {
  if (!recordings.length) return null;
  return (
    <section>
      <h2>{t('now.earlier')}</h2>
      <ul class="rows">
        {recordings.map((recording) => (
          <li>
            <a class="row small" href={href('replay', recording.id)}>
              <Poster address={recording.poster && signed(relay.library + recording.poster)} info={recording.info || {}} />
              <span class="row-text">
                <span class="row-title">{lessonTitle(recording)}</span>
                <span class="row-meta">
                  {[timeOfDay(new Date(recording.started)), byLine(recording.info || {}), lengthText(recording.duration_s, language())]
                    .filter((word) => word)
                    .join(' · ')}
                </span>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function AutoEnter({ lesson }) {
  const [since] = useState(Date.now());
  const [stay, setStay] = useState(false);
  const left = ENTER_AFTER_S - useSeconds(since);
  useEffect(() => {
    if (left <= 0 && !stay) location.hash = href('live', lesson.name, { auto: 1 });
  }, [left <= 0, stay]);
  if (stay) return null;
  return (
    <p class="notice enter">
      <span class="unseen" role="status">{t('now.autoIn', { s: ENTER_AFTER_S, title: lessonTitle(lesson) })}</span>
      <span aria-hidden="true">{t('now.autoIn', { s: Math.max(0, left), title: lessonTitle(lesson) })}</span>
      <button class="button plain" onClick={() => setStay(true)}>{t('now.autoStay')}</button>
    </p>
  );
}

export function Now({ query }) {
  useTitle(t('now.title'));
  useSeconds(null);
  const [first, setFirst] = useState(!recall('seen', false));
  const [auto, setAuto] = useState(recall('auto', false) || query.auto === '1');
  const lessons = running(relay.lessons.values());
  const today = useToday(lessons.map((lesson) => lesson.id).join());
  const earlier = today.filter((recording) => recording.state === 'closed').slice(0, 12);
  const posterOf = (lesson) => (today.find((recording) => recording.id === lesson.id) || {}).poster;
  const known = relay.status === 'open' || lessons.length > 0;
  return (
    <div class="room">
      <h1>{t('now.title')}</h1>
      {first && (
        <div class="notice first">
          <p>{t('now.first')}</p>
          <button class="button plain" onClick={() => { remember('seen', true); setFirst(false); }}>{t('now.firstOk')}</button>
        </div>
      )}
      {auto && lessons.length === 1 && lessons[0].state === 'live' && <AutoEnter key={lessons[0].id} lesson={lessons[0]} />}
      {relay.status === 'denied' && <Sign title={t('live.denied')} how={t('live.deniedHow')} />}
      {!known && relay.status === 'connecting' && <Sign live title={t('now.connecting')} />}
      {known && !lessons.length && (
        <Sign title={t('now.empty')} how={t('now.emptyHow')}>
          {relay.library && <a class="button" href={href('library')}>{t('now.emptyLibrary')}</a>}
        </Sign>
      )}
      <div class={'cards n' + Math.min(3, lessons.length)}>
        {lessons.map((lesson) => (
          <Card key={lesson.id} lesson={lesson} large={lessons.length < 3} poster={posterOf(lesson)} />
        ))}
      </div>
      <Earlier recordings={earlier} />
      <label class="switch">
        <input type="checkbox" checked={auto} onChange={(event) => { setAuto(event.target.checked); remember('auto', event.target.checked); }} />
        <span>{t('now.auto')}</span>
      </label>
    </div>
  );
}
