// SPDX-License-Identifier: MIT
// 回看: a recording, teacher and slides in step; also while the lesson is still running.
import { h } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { getJson } from '../api.js';
import { clockText } from '../dates.js';
import { Sign, byLine, lessonTitle, useTitle } from '../frame.jsx';
import { t } from '../i18n.js';
import { Icon } from '../icons.jsx';
import { gapsBetween } from '../player/timeline.js';
import { recall, remember } from '../prefs.js';
import { relay } from '../relay.js';
import { href } from '../route.js';
import { Control, FullControl, LayoutControl, Stage, toggleFull, useAwake, useLayout, useQuiet } from '../stage.jsx';
import { Panel } from './panel.jsx';
import { SeekBar, gapText } from './seekbar.jsx';

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
const LOOK_AGAIN_MS = 5000;
const KEEP_EVERY_S = 4;
const KEPT_MAX = 60;
const NOTICE_MS = 6000;

// {status: 'loading' | 'ok' | 'failed' | 'denied' | 'wrong' | 'absent', recording: what was last known, again()}
function useRecording(id) {
  const [state, setState] = useState({ status: 'loading', recording: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (relay.library === null) setState({ status: 'absent', recording: null });
    if (!relay.library) return undefined;
    const controller = new AbortController();
    let timer = 0;
    const later = () => (timer = setTimeout(() => setRound((n) => n + 1), LOOK_AGAIN_MS));
    getJson(relay.library + '/api/v1/recordings/' + id, controller.signal).then(
      (recording) => {
        setState({ status: 'ok', recording });
        if (recording.state !== 'closed') later();
      },
      (error) => {
        if (controller.signal.aborted) return;
        const status = error.denied ? 'denied' : error.status === 404 ? 'wrong' : 'failed';
        setState((before) => ({ status, recording: before.recording }));
        if (!error.denied) later();
      }
    );
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [id, relay.library, round]);
  return { ...state, again: () => setRound((n) => n + 1) };
}

// Where one stopped, of the last lessons watched. Pure but for the memory.
function keptPlace(id) {
  const kept = recall('places', []).find((place) => place.id === id);
  return kept ? kept.at : 0;
}

function keepPlace(id, at) {
  const others = recall('places', []).filter((place) => place.id !== id);
  remember('places', (at === null ? [] : [{ id, at }]).concat(others).slice(0, KEPT_MAX));
}

// player/replay.js, which build.mjs puts beside the page as player.js: fetched when it is first needed. A browser may keep
// that an address failed.
function useReplayCode() {
  const [state, setState] = useState({ status: 'loading', ReplayPlayer: null });
  useEffect(() => {
    let timer = 0;
    let left = false;
    const address = new URL('player.js', document.baseURI).href;
    const load = (round) =>
      import(round ? address + '?' + round : address).then(
        ({ ReplayPlayer }) => left || setState({ status: 'ok', ReplayPlayer }),
        () => {
          if (left) return;
          setState({ status: 'failed', ReplayPlayer: null });
          timer = setTimeout(() => load(round + 1), LOOK_AGAIN_MS);
        },
      );
    load(0);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, []);
  return state;
}

function useReplay(ReplayPlayer, recording, startS, again) {
  const mainRef = useRef(null);
  const slidesRef = useRef(null);
  const player = useRef(null);
  const [view, setView] = useState(null);
  const some = !!recording && recording.streams.length > 0;
  useEffect(() => {
    if (!some || !ReplayPlayer) return undefined;
    const made = new ReplayPlayer({
      base: relay.library,
      main: mainRef.current,
      slides: slidesRef.current,
      startS,
      onChange: () => player.current === made && setView(made.view()),
      onRefused: again,
    });
    player.current = made;
    made.start(recording);
    return () => made.stop();
  }, [some, ReplayPlayer]);
  useEffect(() => {
    if (player.current) player.current.update(recording);
  }, [recording]);
  return { player, view, mainRef, slidesRef };
}

function useNotice() {
  const [notice, setNotice] = useState(null);
  useEffect(() => {
    if (!notice) return undefined;
    const timer = setTimeout(() => setNotice(null), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return [notice, setNotice];
}

function Trouble({ status }) {
  const ways = [<a class="button" href={href('library')}>{t('library.title')}</a>];
  if (status === 'loading') return <Sign live title={t('replay.loading')} />;
  if (status === 'waiting') return <Sign live title={t('replay.waiting')} />;
  if (status === 'denied') return <Sign live title={t('live.denied')} how={t('live.deniedHow')}>{ways}</Sign>;
  if (status === 'wrong') return <Sign live title={t('live.wrong')} how={t('live.wrongHow')}>{ways}</Sign>;
  if (status === 'absent') return <Sign live title={t('library.absent')} how={t('library.absentHow')} />;
  if (status === 'empty') return <Sign live title={t('replay.empty')} how={t('replay.emptyHow')}>{ways}</Sign>;
  return <Sign live title={t('replay.failed')} how={t('replay.failedHow')}>{ways}</Sign>;
}

function Bar({ view, total, gaps, act, layout, nextLayout, room }) {
  return (
    <footer class="bar replay-bar" role="group" aria-label={t('bar.controls')}>
      <SeekBar now={view.now} total={total} gaps={gaps} onSeek={act.seek} />
      <div class="bar-row">
        <Control icon={view.paused ? 'play' : 'pause'} label={t(view.paused ? 'replay.play' : 'replay.pause')} text={t(view.paused ? 'replay.play' : 'replay.pause')} onClick={act.toggle} />
        <Control icon="rewind" label={t('replay.back')} text={t('replay.back10')} onClick={() => act.step(-10)} />
        <Control icon="forward" label={t('replay.forward')} text={t('replay.forward10')} onClick={() => act.step(10)} />
        <p class="clock"><span>{clockText(view.now)}</span> / {clockText(total)}</p>
        <div class="spring" />
        <Control worded icon="speed" label={t('replay.speedNow', { n: view.rate })} text={t('replay.times', { n: view.rate })} onClick={() => act.speed(1, true)} />
        <Control icon={view.muted ? 'muted' : 'sound'} label={t(view.muted ? 'bar.soundOn' : 'bar.soundOff')} text={t(view.muted ? 'bar.muted' : 'bar.sound')} onClick={act.mute} />
        <LayoutControl layout={layout} next={nextLayout} hidden={!(view.main && view.slides)} />
        <FullControl target={room} />
      </div>
    </footer>
  );
}

function onKey(event, act) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  const target = event.target;
  const onControl = target.tagName === 'BUTTON' || target.tagName === 'A';
  const run = (action, ...args) => {
    event.preventDefault();
    action(...args);
  };
  const key = event.key.toLowerCase();
  if (key === ' ' && !onControl) run(act.toggle);
  else if (key === 'k') run(act.toggle);
  else if (key === 'j') run(act.step, -10);
  else if (key === 'l') run(act.step, 10);
  else if (key === 'm') run(act.mute);
  else if (key === 'f') run(act.full);
  else if (key === 'i') run(act.panel);
  else if (key === '<') run(act.speed, -1, false);
  else if (key === '>') run(act.speed, 1, false);
  else if (/^[0-9]$/.test(key)) run(act.part, Number(key) / 10);
  else if (!onControl && (key === 'arrowleft' || key === 'arrowright')) run(act.step, key === 'arrowleft' ? -5 : 5);
}

function actions(player, view, total, { room, setPanel, mainRef, slidesRef }) {
  const seek = (time) => player.current && player.current.seek(Math.max(0, Math.min(total - 0.3, time)));
  return {
    seek,
    toggle: () => player.current && player.current.toggle(),
    step: (seconds) => player.current && seek(player.current.now + seconds),
    part: (share) => seek(share * total),
    mute: () => {
      const video = view && view.leader === 'slides' ? slidesRef.current : mainRef.current;
      video.muted = !video.muted;
    },
    full: () => toggleFull(room.current),
    panel: () => setPanel((open) => !open),
    speed: (by, round) => {
      const index = SPEEDS.indexOf(view ? view.rate : 1) + by;
      const next = round ? (index + SPEEDS.length) % SPEEDS.length : Math.max(0, Math.min(SPEEDS.length - 1, index));
      if (player.current) player.current.setRate(SPEEDS[next]);
    },
  };
}

// Keeps the place, and tells of gaps as they are jumped over.
function useProgress(id, view, total, gaps, recording, tell) {
  const last = useRef({ now: null, kept: -KEEP_EVERY_S });
  useEffect(() => {
    if (!view || view.paused) return;
    const before = last.current.now;
    last.current.now = view.now;
    if (before !== null) {
      const jumped = gapsBetween(gaps, view.leader, before, view.now);
      if (jumped.length === 1) tell({ text: gapText(jumped[0]) });
    }
    if (Math.abs(view.now - last.current.kept) < KEEP_EVERY_S) return;
    last.current.kept = view.now;
    keepPlace(id, recording.state === 'closed' && view.now > total - 10 ? null : Math.floor(view.now));
  }, [view && view.now]);
}

// What is in the way, or null. A recording that is known plays on, whatever the library says meanwhile.
function troubleOf(status, recording, code, view, ready) {
  if (!recording) return status;
  if (!recording.streams.length) return 'empty';
  if (code !== 'ok') return code;
  if (view && view.failed) return status === 'ok' ? 'failed' : status;
  if (!ready) return 'loading';
  return view.waiting ? 'waiting' : null;
}

export function Replay({ id, at }) {
  const { status, recording, again } = useRecording(id);
  const [resume] = useState(() => (at !== undefined && isFinite(Number(at)) ? Math.max(0, Number(at)) : keptPlace(id)));
  const code = useReplayCode();
  const { player, view, mainRef, slidesRef } = useReplay(code.ReplayPlayer, recording, resume, again);
  const [layout, nextLayout, swap] = useLayout();
  const [panel, setPanel] = useState(() => window.innerWidth >= 1600);
  const [notice, tell] = useNotice();
  const room = useRef(null);
  const total = Math.max(0.001, ...(recording ? recording.streams.map((stream) => stream.first_s + stream.duration_s) : []), view ? view.now : 0, recording && recording.state !== 'closed' && view ? view.end : 0);
  const gaps = recording && view ? (recording.gaps || []).filter((gap) => gap.stream === view.leader && !gap.healed) : [];
  const act = actions(player, view, total, { room, setPanel, mainRef, slidesRef });
  const quiet = useQuiet(!!view && !view.paused && !panel);
  useTitle(recording ? lessonTitle(recording) : t('replay.title'));
  useAwake(!!view && !view.paused);
  useProgress(id, view, total, gaps, recording, tell);
  useEffect(() => {
    const listen = (event) => onKey(event, act);
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  });
  useEffect(() => {
    if (view && at === undefined && resume > 0) tell({ text: t('replay.resumed', { at: clockText(resume) }), label: t('replay.fromStart'), act: () => act.seek(0) });
  }, [!!view]);
  // A link to another moment of the same lesson.
  useEffect(() => {
    if (player.current && at !== undefined && isFinite(Number(at))) player.current.seek(Number(at));
  }, [at]);

  const ready = view && (view.main || view.slides);
  const trouble = troubleOf(status, recording, code.status, view, ready);
  return (
    <div class={'dark-room replay' + (quiet ? ' quiet' : '') + (panel && recording ? ' with-panel' : '')} ref={room}>
      <main>
        <Stage layout={layout} has={{ main: !!(view && view.main), slides: !!(view && view.slides) }} mainRef={mainRef} slidesRef={slidesRef} onSwap={swap} onTap={act.toggle} />
        {trouble && <div class="over"><Trouble status={trouble} /></div>}
        {ready && !trouble && (view.blocked || view.ended) && view.paused && (
          <button class="sound-blocked" onClick={act.toggle}>
            <Icon name="play" />
            <span>{t(view.ended ? 'replay.again' : 'replay.play')}</span>
          </button>
        )}
        <header class="top">
          <a class="control" href={href('library')} aria-label={t('library.title')} title={t('library.title')}><Icon name="back" /></a>
          <div class="top-text">
            <h1>{recording ? lessonTitle(recording) : t('replay.title')}</h1>
            {recording && byLine(recording.info || {}) && <p>{byLine(recording.info)}</p>}
          </div>
          {recording && recording.state !== 'closed' && (
            <a class="pill good" href={href('live', recording.name)}><span class="dot" /><span>{t('replay.goLive')}</span></a>
          )}
          {recording && <Control icon="info" label={t(panel ? 'replay.panelClose' : 'replay.panelOpen')} text={t('replay.panel')} pressed={panel} onClick={act.panel} />}
        </header>
        {notice && (
          <p class="toast" role="status">
            <span>{notice.text}</span>
            {notice.act && <button class="button plain" onClick={() => { notice.act(); tell(null); }}>{notice.label}</button>}
          </p>
        )}
        {view && <Bar view={view} total={total} gaps={gaps} act={act} layout={layout} nextLayout={nextLayout} room={room} />}
      </main>
      {panel && recording && <Panel recording={recording} onSeek={act.seek} onClose={() => setPanel(false)} />}
    </div>
  );
}
