// SPDX-License-Identifier: MIT
// What this device remembers. Storage may be forbidden; then it remembers nothing.

export function recall(name, fallback) {
  try {
    const text = localStorage.getItem('tongke.' + name);
    return text === null ? fallback : JSON.parse(text);
  } catch (error) {
    return fallback;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem('tongke.' + name, JSON.stringify(value));
  } catch (error) {
    // A private window: nothing to be done, nothing lost.
  }
}
