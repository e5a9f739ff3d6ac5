// SPDX-License-Identifier: MIT
// The token comes once in the address and leaves it at once: it must not be bookmarked, shared or
// seen over a shoulder. It lives as long as the tab.
const KEY = 'tongke.token';

let token = null;

// {address, token}: the address without the token. Pure.
export function takeToken(href) {
  let found = null;
  const strip = (part) => {
    const at = part.indexOf('?');
    if (at < 0) return part;
    const kept = part
      .slice(at + 1)
      .split('&')
      .filter((pair) => {
        if (!pair.startsWith('token=')) return true;
        found = decodeURIComponent(pair.slice(6));
        return false;
      });
    return part.slice(0, at) + (kept.length ? '?' + kept.join('&') : '');
  };
  const hash = href.indexOf('#');
  const address = hash < 0 ? strip(href) : strip(href.slice(0, hash)) + strip(href.slice(hash));
  return { address, token: found };
}

// True if there is another token than before.
export function adoptToken() {
  const before = token;
  let taken = { address: location.href, token: null };
  try {
    taken = takeToken(location.href);
  } catch (error) {
    // A badly escaped token is no token.
  }
  try {
    if (taken.token) sessionStorage.setItem(KEY, taken.token);
    token = taken.token || sessionStorage.getItem(KEY);
  } catch (error) {
    token = taken.token;
  }
  if (taken.token) history.replaceState(null, '', taken.address);
  return token !== before;
}

// What a token says that its holder is; null when it says nothing. The server alone decides. Pure.
export function tokenRole(text) {
  try {
    const claims = JSON.parse(atob(text.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
    return typeof claims.role === 'string' ? claims.role : null;
  } catch (error) {
    return null;
  }
}

export function currentToken() {
  return token;
}
