// SPDX-License-Identifier: MIT
// 直播间: the running lesson, full-bleed and dark.
import { h } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { getJson, signed, socketUrl, withQuery } from '../api.js';
import { clockText, lengthText } from '../dates.js';
import { Sign, byLine, lessonTitle, useTitle } from '../frame.jsx';
import { language, t } from '../i18n.js';
import { Icon } from '../icons.jsx';
import { LivePlayer } from '../player/live.js';
import { probe, relay, relayNow, roundTrip } from '../relay.js';
import { href } from '../route.js';
import { Control, FullControl, LayoutControl, Stage, toggleFull, useAwake, useLayout, useQuiet } from '../stage.jsx';
import { LineSheet } from './line.jsx';
import { QualityControl, Told, renditionsOf, useWish } from './quality.jsx';

const ULID = /^[0-9A-HJKMNP-TV-Z]{26}$/;
const BACK_TO_NOW_MS = 20000;
// Phases that pass by themselves; somebody waits for it.
const NOT_HERE = ['away', 'lost', 'full'];

function usePlayer(lesson, round, wish, mime) {
  const mainRef = useRef(null);
  const slidesRef = useRef(null);
  const player = useRef(null);
  const [view, setView] = useState(null);
  useEffect(() => {
    const made = new LivePlayer({
      lesson,
      socketUrl,
      probe,
      relayNow,
      roundTrip,
      wish,
      mime,
      main: mainRef.current,
      slides: slidesRef.current,
      onChange: () => setView(made.view()),
    });
    player.current = made;
    made.start();
    return () => made.stop();
  }, [lesson, round]);
  return { player, view, mainRef, slidesRef };
}

function findLesson(key) {
  let found = null;
  relay.lessons.forEach((lesson) => {
    if (lesson.id === key || (lesson.name === key && (!found || lesson.started > found.started))) found = lesson;
  });
  return found;
}

// An id that the relay no longer knows may be in the library; or nowhere.
function useLookup(lesson, phase) {
  const [wrong, setWrong] = useState(false);
  const ask = ULID.test(lesson) && (phase === 'waiting' || phase === 'lost' || phase === 'over') && relay.library !== undefined;
  useEffect(() => {
    if (!ask) return undefined;
    const controller = new AbortController();
    const missing = (error) => {
      if (error.status !== 404) throw error;
    };
    getJson('/api/v1/lessons/' + lesson, controller.signal)
      .catch((error) => {
        missing(error);
        if (!relay.library) return null;
        return getJson(relay.library + '/api/v1/recordings/' + lesson, controller.signal).then(() => location.replace(href('replay', lesson)));
      })
      .then((known) => known === null && setWrong(true))
      .catch((error) => error.status === 404 && setWrong(true));
    return () => controller.abort();
  }, [ask, lesson]);
  return wrong;
}

// The last lesson of a room that the relay knows nothing of any more: whoever could not be there finds
// it under the same link.
function useLast(name, wanted) {
  const [last, setLast] = useState(null);
  const ask = wanted && !ULID.test(name) && !!relay.library;
  useEffect(() => {
    if (!ask) return undefined;
    const controller = new AbortController();
    getJson(withQuery(relay.library + '/api/v1/recordings', { name, limit: 1 }), controller.signal).then(
      (page) => setLast(page.recordings[0] || null),
      () => {} // The room waits all the same.
    );
    return () => controller.abort();
  }, [ask, name]);
  return last;
}

// What is to come of a running lesson, by the events' word; null: not known.
function formatOf(lesson, wish) {
  if (!lesson || lesson.state === 'ended' || wish === 'audio') return null;
  const stream = (lesson.streams || []).find((one) => one.name === wish);
  return (stream && stream.mime) || null;
}

// Of what the player was told and what the events say, the fresher word about the same lesson; an
// ended one only where it is the one that was watched.
function lessonShown(told, known, phase) {
  if (told) return known && known.id === told.id ? known : told;
  return known && (known.state !== 'ended' || phase === 'over') ? known : null;
}

function SoundTest() {
  const [on, setOn] = useState(false);
  const Context = window.AudioContext || window.webkitAudioContext;
  if (!Context) return null;
  const play = () => {
    const context = new Context();
    const tone = context.createOscillator();
    const level = context.createGain();
    level.gain.value = 0.2;
    tone.frequency.value = 523;
    tone.connect(level);
    level.connect(context.destination);
    tone.onended = () => {
      setOn(false);
      context.close();
    };
    setOn(true);
    tone.start();
    tone.stop(context.currentTime + 1.2);
  };
  return (
    <button class="button" onClick={play} disabled={on}>{t(on ? 'live.soundTestOn' : 'live.soundTest')}</button>
  );
}

function HlsLink({ lesson }) {
  if (!relay.library || !lesson) return null;
  return <a class="button" href={signed(relay.library + '/api/v1/recordings/' + lesson.id + '/playlist.m3u8')}>{t('live.hls')}</a>;
}

// The sentence over the picture, for every phase but the good one.
function Phase({ view, lesson, before, wrong, onRetry }) {
  const phase = wrong ? 'wrong' : view ? view.phase : 'connecting';
  const seconds = Math.floor(view ? view.phaseForS : 0);
  const ways = [<a class="button plain" href={href('now')}>{t('live.overNow')}</a>];
  if (phase === 'live') return null;
  if (phase === 'connecting' || phase === 'starting') return <Sign live title={t('live.' + phase)} />;
  if (phase === 'waiting')
    return (
      <Sign live title={t('live.waiting')} how={t('live.waitingHow')}>
        <span class="sign-time">{t('live.waitingFor', { time: lengthText(seconds, language()) })}</span>
        <SoundTest />
        {before && relay.library && <a class="button plain" href={href('replay', before.id)}>{t('live.before')}</a>}
      </Sign>
    );
  const waited = t('app.waited', { s: seconds });
  if (phase === 'away') return <Sign live title={t('live.away')} counting={waited} how={t('live.awayHow')} />;
  if (phase === 'lost' || phase === 'full')
    return (
      <Sign live title={t(phase === 'full' ? 'live.full' : 'live.lost')} counting={waited} how={t(phase === 'full' ? 'live.fullHow' : 'live.lostHow')}>
        <button class="button plain" onClick={onRetry}>{t('live.retry')}</button>
      </Sign>
    );
  if (phase === 'over')
    return (
      <Sign live title={t('live.over')} how={relay.library && lesson ? t('live.overSoon') : null}>
        {relay.library && lesson && <a class="button" href={href('replay', lesson.id)}>{t('live.overReplay')}</a>}
        {ways}
      </Sign>
    );
  if (phase === 'unsupported')
    return (
      <Sign live title={t('live.unsupported')} how={t('live.unsupportedHow', { mime: view.unsupported })}>
        <HlsLink lesson={lesson} />
        {ways}
      </Sign>
    );
  return <Sign live title={t('live.' + phase)} how={t('live.' + phase + 'How')}>{ways}</Sign>;
}

// Less comes than is wished for.
function isWeak(view) {
  return view.main && view.rendition !== 'main' && view.wish !== view.rendition;
}

function statusText(view) {
  if (!view || view.phase === 'connecting') return t('live.connecting');
  const seconds = Math.floor(view.phaseForS);
  if (NOT_HERE.includes(view.phase)) return t('live.' + view.phase) + ' ' + t('app.waited', { s: seconds });
  if (view.reconnected) return t('live.reconnected');
  if (view.phase !== 'live') return t('live.' + view.phase);
  const weak = isWeak(view);
  if (view.behindS === null) return t(weak ? 'live.weakPlain' : 'live.okPlain');
  return t(weak ? 'live.weak' : 'live.ok', { s: view.behindS.toFixed(1) });
}

function Top({ lesson, view, onSheet }) {
  const phase = view ? view.phase : 'connecting';
  const good = phase === 'live';
  const weak = good && isWeak(view);
  const since = lesson && lesson.started ? ((relayNow() || Date.now()) - Date.parse(lesson.started)) / 1000 : null;
  const running = good && since !== null && since >= 0;
  return (
    <header class="top">
      <a class="control" href={href('now')} aria-label={t('app.back')} title={t('app.back')}>
        <Icon name="back" />
      </a>
      <div class="top-text">
        <h1>{lesson ? lessonTitle(lesson) : t('live.title')}</h1>
        {lesson && lesson.info && byLine(lesson.info) && <p>{byLine(lesson.info)}</p>}
      </div>
      {running && (
        <p class="on-air" aria-label={t('live.running', { time: lengthText(since, language()) })} role="img">
          <span class="dot" />
          <span>{t('live.dot')} {clockText(since)}</span>
        </p>
      )}
      <button class={'pill ' + (weak ? 'warn' : good ? 'good' : NOT_HERE.includes(phase) ? 'warn' : '')} onClick={onSheet} aria-haspopup="dialog">
        <span class="dot" />
        <span>{statusText(view)}</span>
        <span class="unseen"> · {t('sheet.open')}</span>
      </button>
    </header>
  );
}

function Bar({ view, layout, nextLayout, room, onSound, quality }) {
  const muted = !view || view.muted;
  return (
    <footer class="bar" role="group" aria-label={t('bar.controls')}>
      <Control icon={muted ? 'muted' : 'sound'} label={t(muted ? 'bar.soundOn' : 'bar.soundOff')} text={t(muted ? 'bar.muted' : 'bar.sound')} onClick={onSound} />
      <LayoutControl layout={layout} next={nextLayout} hidden={!(view && view.slides && view.main)} />
      {quality}
      <FullControl target={room} />
      <p class="behind">
        {view && view.phase === 'live' && (view.behindS === null ? t('bar.behindUnknown') : t('bar.behind', { s: view.behindS.toFixed(1) }))}
      </p>
    </footer>
  );
}

function liveKeys(event, act) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  const key = event.key.toLowerCase();
  if (act[key]) {
    event.preventDefault();
    act[key]();
  }
}

export function Live({ lesson: key, query }) {
  const [round, setRound] = useState(0);
  const [wish, setWish] = useWish();
  const known = findLesson(key);
  const format = formatOf(known, wish);
  const { player, view, mainRef, slidesRef } = usePlayer(key, round, wish, format);
  const [layout, nextLayout, swap] = useLayout();
  const [sheet, setSheet] = useState(false);
  const room = useRef(null);
  const wrong = useLookup(key, view && view.phase);
  const last = useLast(key, !known && !!view && view.phase === 'waiting');
  const phase = view && view.phase;
  const lesson = lessonShown(view && view.lesson, known, phase);
  const hasSlides = !!(lesson && (lesson.streams || []).some((stream) => stream.name === 'slides'));
  const choices = renditionsOf(lesson);
  const quiet = useQuiet(phase === 'live' && !view.soundBlocked && !sheet);
  useTitle(lesson ? lessonTitle(lesson) : t('live.title'));
  useAwake(phase === 'live' || phase === 'away' || phase === 'waiting');

  useEffect(() => {
    if (player.current && hasSlides) player.current.setSlides(true);
  }, [hasSlides, round]);
  // Where the lesson has no such rendition, or is not known yet, the best is as well.
  const wished = !lesson || choices.includes(wish) ? wish : 'main';
  useEffect(() => {
    if (player.current) player.current.setWish(wished);
  }, [wished, round]);
  // This device may be able to play what comes now.
  useEffect(() => {
    if (phase === 'unsupported') setRound(round + 1);
  }, [format, wish]);
  // The room's next lesson begins by itself.
  const next = phase === 'over' && known && view.lesson && known.id !== view.lesson.id && known.state === 'live';
  useEffect(() => {
    if (next) setRound(round + 1);
  }, [next]);
  useEffect(() => {
    if (phase !== 'over' || query.auto !== '1') return undefined;
    const timer = setTimeout(() => (location.hash = href('now', null, { auto: 1 })), BACK_TO_NOW_MS);
    return () => clearTimeout(timer);
  }, [phase]);

  const onSound = () => player.current.setSound(mainRef.current.muted);
  useEffect(() => {
    const onKey = (event) => liveKeys(event, { m: onSound, l: nextLayout, f: () => toggleFull(room.current) });
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });

  const still = phase === 'live' && view.main && view.rendition === 'audio';
  return (
    <div class={'dark-room' + (quiet ? ' quiet' : '') + ' phase-' + (phase || 'connecting') + (still ? ' still' : '')} ref={room} data-rendition={view && view.main ? view.rendition : null}>
      <main>
        <Stage layout={layout} has={{ main: !!(view && view.main), slides: !!(view && view.slides) }} mainRef={mainRef} slidesRef={slidesRef} onSwap={swap} />
        <div class="over"><Phase view={view} lesson={lesson} before={known ? known.state === 'ended' && known : last} wrong={wrong} onRetry={() => player.current.hurry()} /></div>
        {view && view.soundBlocked && view.muted && phase === 'live' && (
          <button class="sound-blocked" onClick={() => player.current.setSound(true)}>
            <Icon name="sound" />
            <span>{t('live.soundBlocked')}</span>
          </button>
        )}
        <Told view={view} />
        <Top lesson={lesson} view={view} onSheet={() => setSheet(true)} />
        <Bar view={view} layout={layout} nextLayout={nextLayout} room={room} onSound={onSound} quality={<QualityControl wish={wish} choices={choices} view={view} onWish={setWish} />} />
      </main>
      {sheet && <LineSheet view={view} lesson={lesson} onClose={() => setSheet(false)} />}
    </div>
  );
}
