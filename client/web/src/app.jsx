// SPDX-License-Identifier: MIT
import { h, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Frame, WrongLink } from './frame.jsx';
import { onLanguage, startLanguage, t } from './i18n.js';
import { watchKeys } from './keys.js';
import { renewRelay, startRelay, watchRelay } from './relay.js';
import { Library } from './rooms/library.jsx';
import { Live } from './rooms/live.jsx';
import { Now } from './rooms/now.jsx';
import { Replay } from './rooms/replay.jsx';
import { parseRoute } from './route.js';
import { adoptToken, currentToken } from './token.js';

function App() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const again = () => redraw((n) => n + 1);
    const onHash = () => {
      if (adoptToken()) renewRelay();
      again();
    };
    window.addEventListener('hashchange', onHash);
    const stops = [watchRelay(again), onLanguage(again)];
    return () => {
      window.removeEventListener('hashchange', onHash);
      stops.forEach((stop) => stop());
    };
  }, []);
  const route = parseRoute(location.hash);
  // With another token everything is asked for anew.
  const key = [route.lesson, currentToken()].join(' ');
  if (route.room === 'live') return <Live key={key} lesson={route.lesson} query={route.query} />;
  if (route.room === 'replay') return <Replay key={key} id={route.lesson} at={route.query.t} />;
  return (
    <Frame key={key} room={route.room}>
      {route.room === 'now' && <Now query={route.query} />}
      {route.room === 'library' && <Library query={route.query} />}
      {route.room === 'wrong' && <WrongLink />}
    </Frame>
  );
}

if (!window.tongkeOld) {
  adoptToken();
  startLanguage();
  document.title = t('app.name');
  watchKeys();
  startRelay();
  render(<App />, document.getElementById('page'));
}
