// SPDX-License-Identifier: MIT
// Runs before everything else, in the language of 2009, so that a browser which cannot read the
// page itself still says so, and still finds the way to the recording.
(function () {
  'use strict';
  // Array.prototype.flat came with Chromium 69, Firefox 62 and Safari 12, after everything else that
  // the page needs.
  function works() {
    return !!(window.fetch && window.Promise && window.WebSocket && window.URLSearchParams &&
      window.AbortController && Object.entries && Array.prototype.flat);
  }
  window.tongkeOld = !works();
  if (!window.tongkeOld) return;
  document.getElementById('old').removeAttribute('hidden');
  var room = /^#\/(?:live|replay)\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})/.exec(location.hash);
  if (!room) return;
  function get(url, done) {
    var request = new XMLHttpRequest();
    request.open('GET', url);
    request.onload = function () {
      if (request.status !== 200) return;
      try { done(JSON.parse(request.responseText)); } catch (error) { /* nothing to offer then */ }
    };
    request.send();
  }
  var token = /[?&]token=([^&#]+)/.exec(location.href);
  var query = token ? '?token=' + token[1] : '';
  get('/api/v1/relay', function (relay) {
    if (!relay.library) return;
    var base = relay.library.charAt(0) === ':' ? location.protocol + '//' + location.hostname + relay.library : relay.library;
    document.getElementById('old-link').href = base + '/api/v1/recordings/' + room[1] + '/playlist.m3u8' + query;
    document.getElementById('old-hls').removeAttribute('hidden');
  });
})();
