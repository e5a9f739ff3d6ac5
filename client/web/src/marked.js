// SPDX-License-Identifier: MIT
// The recorder's marked text (HTML-escaped, with <mark>) as pieces to draw, never as HTML.

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'", '#x27': "'", '#34': '"' };

function unescape(text) {
  return text.replace(/&(#?\w{1,6});/g, (whole, name) => (name in ENTITIES ? ENTITIES[name] : whole));
}

// [{text, mark: bool}]
export function markedPieces(html) {
  const pieces = [];
  let mark = false;
  for (const part of String(html).split(/(<\/?mark>)/)) {
    if (part === '<mark>') mark = true;
    else if (part === '</mark>') mark = false;
    else if (part) pieces.push({ text: unescape(part), mark });
  }
  return pieces;
}
