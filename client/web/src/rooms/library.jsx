// SPDX-License-Identifier: MIT
// 课程库: search as one types, filters with counts; the address bar holds it all.
import { h } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { getJson, signed, withQuery } from '../api.js';
import { clockText, dateText, lengthText } from '../dates.js';
import { Chips, Poster, Sheet, Sign, lessonTitle, useTitle } from '../frame.jsx';
import { language, t } from '../i18n.js';
import { Icon } from '../icons.jsx';
import { markedPieces } from '../marked.js';
import { relay } from '../relay.js';
import { href } from '../route.js';
import { Alarms } from './alarms.jsx';

const FACETS = ['subject', 'grade', 'teacher', 'school'];
const FIELDS = ['q'].concat(FACETS, 'from', 'to');
const PAGE = 20;
const TYPING_MS = 200;
const RETRY_MS = 3000;

export function filtersOf(query) {
  const filters = {};
  FIELDS.forEach((field) => (filters[field] = query[field] || ''));
  return filters;
}

// One shorter thing to look for: the longest word of several, else the first half of one. Pure.
export function suggestion(q) {
  const words = q.trim().split(/\s+/);
  if (words.length > 1) return words.reduce((a, b) => (b.length > a.length ? b : a));
  const letters = Array.from(words[0] || '');
  return letters.length > 2 ? letters.slice(0, Math.ceil(letters.length / 2)).join('') : null;
}

// {status: 'busy' | 'ok' | 'failed' | 'denied', answer}; the last answer stays while the next is sought.
function useSearch(filters, pages) {
  const [result, setResult] = useState({ status: 'busy', answer: null });
  const [again, setAgain] = useState(0);
  useEffect(() => {
    if (!relay.library) return undefined;
    const controller = new AbortController();
    let timer = 0;
    setResult((before) => ({ status: 'busy', answer: before.answer }));
    const address = withQuery(relay.library + '/api/v1/recordings', Object.assign({}, filters, { limit: Math.min(100, PAGE * pages) }));
    getJson(address, controller.signal).then(
      (answer) => setResult({ status: 'ok', answer }),
      (error) => {
        if (controller.signal.aborted) return;
        setResult({ status: error.denied ? 'denied' : 'failed', answer: null });
        timer = setTimeout(() => setAgain((n) => n + 1), RETRY_MS);
      }
    );
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [relay.library, JSON.stringify(filters), pages, again]);
  return result;
}

function Marked({ html, plain }) {
  if (!html) return plain;
  return markedPieces(html).map((piece) => (piece.mark ? <mark>{piece.text}</mark> : piece.text));
}

function Row({ recording }) {
  const info = recording.info || {};
  const match = recording.match || {};
  const by = ['teacher', 'school'].filter((field) => info[field]);
  const others = Object.keys(match).filter((field) => !['title', 'teacher', 'school'].includes(field) && /<mark>/.test(match[field]));
  const on = recording.state !== 'closed';
  return (
    <li>
      <a class="row" href={href('replay', recording.id)}>
        <Poster address={recording.poster && signed(relay.library + recording.poster)} info={info}>
          <span class={'length' + (on ? ' on' : '')}>{on ? t('library.recording') : clockText(recording.duration_s)}</span>
        </Poster>
        <span class="row-text">
          <span class="row-title"><Marked html={match.title} plain={lessonTitle(recording)} /></span>
          <Chips info={info} />
          <span class="row-meta">
            {by.map((field) => [<Marked html={match[field]} plain={info[field]} />, ' · '])}
            {dateText(new Date(recording.started), new Date(), language())}
            {!on && ' · ' + lengthText(recording.duration_s, language())}
          </span>
          {others.slice(0, 3).map((field) => (
            <span class="row-match"><Marked html={match[field]} /></span>
          ))}
        </span>
      </a>
    </li>
  );
}

function Facet({ name, facet, chosen, choose }) {
  const found = (facet || []).slice(0, 12);
  const values = chosen && !found.some((one) => one.value === chosen) ? [{ value: chosen, count: 0 }].concat(found) : found;
  if (!values.length) return null;
  return (
    <fieldset class="facet">
      <legend>{t('library.' + name)}</legend>
      {values.map(({ value, count }) => (
        <button class="facet-value" aria-pressed={String(chosen === value)} onClick={() => choose(name, chosen === value ? '' : value)}>
          <span>{value}</span>
          <span class="count">{count}</span>
        </button>
      ))}
    </fieldset>
  );
}

function Filters({ filters, facets, choose }) {
  return (
    <div class="filters">
      {FACETS.map((name) => (
        <Facet name={name} facet={facets[name]} chosen={filters[name]} choose={choose} />
      ))}
      <fieldset class="facet dates">
        <legend>{t('library.date')}</legend>
        {['from', 'to'].map((name) => (
          <label>
            <span>{t('library.' + name)}</span>
            <input type="date" value={filters[name]} onChange={(event) => choose(name, event.target.value)} />
          </label>
        ))}
      </fieldset>
    </div>
  );
}

function Chosen({ filters, choose, clear }) {
  const names = FACETS.concat('from', 'to').filter((name) => filters[name]);
  if (!names.length) return null;
  return (
    <div class="chosen">
      {names.map((name) => {
        const value = name === 'from' || name === 'to' ? t('library.' + name) + ' ' + filters[name] : filters[name];
        return (
          <button class="chip remove" aria-label={t('library.remove', { value })} onClick={() => choose(name, '')}>
            <span>{value}</span>
            <Icon name="close" />
          </button>
        );
      })}
      <button class="button plain" onClick={clear}>{t('library.clear')}</button>
    </div>
  );
}

function SearchField({ value, onInput }) {
  const input = useRef(null);
  useEffect(() => input.current.focus({ preventScroll: true }), []);
  return (
    <form class="search" role="search" onSubmit={(event) => event.preventDefault()}>
      <Icon name="search" />
      <input type="search" ref={input} value={value} placeholder={t('library.placeholder')} aria-label={t('library.search')}
        autocomplete="off" enterkeyhint="search" onInput={(event) => onInput(event.target.value)} />
      {value && (
        <button type="button" class="control" aria-label={t('library.clearSearch')} onClick={() => { onInput(''); input.current.focus(); }}>
          <Icon name="close" />
        </button>
      )}
    </form>
  );
}

function Empty({ filters, onTry, clear }) {
  const chosen = FIELDS.some((field) => filters[field]);
  if (!chosen) return <Sign title={t('library.none')} how={t('library.noneHow')} />;
  const shorter = filters.q && suggestion(filters.q);
  return (
    <Sign title={filters.q ? t('library.empty', { q: filters.q }) : t('library.emptyFilters')} how={t('library.emptyHow')}>
      {shorter && <button class="button" onClick={() => onTry(shorter)}>{t('library.try', { q: shorter })}</button>}
      <button class="button plain" onClick={clear}>{t('library.clear')}</button>
    </Sign>
  );
}

function Results({ result, filters, onTry, clear, more }) {
  const { status, answer } = result;
  if (status === 'denied') return <Sign live title={t('library.denied')} how={t('live.deniedHow')} />;
  if (status === 'failed') return <Sign live title={t('library.failed')} how={t('library.failedHow')} />;
  if (!answer) return <Sign live title={t('library.searching')} />;
  const recordings = answer.recordings || [];
  return (
    <div aria-busy={String(status === 'busy')}>
      <p class="found" role="status">
        {filters.q ? t('library.foundFor', { q: filters.q, n: answer.total }) : t('library.found', { n: answer.total })}
      </p>
      {!recordings.length && <Empty filters={filters} onTry={onTry} clear={clear} />}
      <ul class="rows">
        {recordings.map((recording) => <Row key={recording.id} recording={recording} />)}
      </ul>
      {recordings.length < Math.min(100, answer.total) && <button class="button" onClick={more}>{t('library.more')}</button>}
    </div>
  );
}

export function Library({ query }) {
  useTitle(t('library.title'));
  const [filters, setFilters] = useState(filtersOf(query));
  const [text, setText] = useState(filters.q);
  const [pages, setPages] = useState(1);
  const [sheet, setSheet] = useState(false);
  const result = useSearch(filters, pages);
  const shown = useRef(JSON.stringify(filters));

  const apply = (next) => {
    shown.current = JSON.stringify(next);
    history.replaceState(null, '', href('library', null, next));
    setPages(1);
    setFilters(next);
  };
  const choose = (name, value) => apply(Object.assign({}, filters, { q: text, [name]: value }));
  const clear = () => {
    setText('');
    apply(filtersOf({}));
  };
  const search = (value) => {
    setText(value);
    apply(Object.assign({}, filters, { q: value }));
  };
  useEffect(() => {
    if (text === filters.q) return undefined;
    const timer = setTimeout(() => apply(Object.assign({}, filters, { q: text })), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  // Somebody followed a link to another search, or went back.
  const asked = JSON.stringify(filtersOf(query));
  const first = useRef(asked);
  useEffect(() => {
    if (asked === first.current) return;
    first.current = asked;
    if (asked === shown.current) return;
    setText(query.q || '');
    apply(filtersOf(query));
  }, [asked]);

  if (relay.library === null) return (
    <div class="room">
      <h1>{t('library.title')}</h1>
      <Sign title={t('library.absent')} how={t('library.absentHow')} />
    </div>
  );
  const facets = (result.answer && result.answer.facets) || {};
  return (
    <div class="room library">
      <h1>{t('library.title')}</h1>
      <Alarms />
      <SearchField value={text} onInput={setText} />
      <button class="button plain filters-open" aria-haspopup="dialog" onClick={() => setSheet(true)}>
        <Icon name="filter" />
        <span>{t('library.filters')}</span>
      </button>
      <div class="library-body">
        <aside aria-label={t('library.filters')}><Filters filters={filters} facets={facets} choose={choose} /></aside>
        <section aria-label={t('library.title')}>
          <Chosen filters={filters} choose={choose} clear={clear} />
          <Results result={result} filters={filters} onTry={search} clear={clear} more={() => setPages(pages + 1)} />
        </section>
      </div>
      {sheet && (
        <Sheet title={t('library.filters')} onClose={() => setSheet(false)}>
          <Filters filters={filters} facets={facets} choose={choose} />
          <button class="button" onClick={() => setSheet(false)}>
            {t('library.showResults', { n: result.answer ? result.answer.total : '…' })}
          </button>
        </Sheet>
      )}
    </div>
  );
}
