// SPDX-License-Identifier: MIT
// Keyboard and remote control: focus is drawn while keys are in use (Chromium before 86 has no
// :focus-visible), and arrows move it to the nearest control in their direction.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CONTROLS = 'a[href], button:not([disabled]), input:not([disabled]), select, [tabindex="0"]';

// The index of the box nearest to `from` in the direction [dx, dy], or -1. Boxes: {x, y, w, h}. Pure.
export function nearest(from, boxes, [dx, dy]) {
  let best = -1;
  let bestCost = Infinity;
  boxes.forEach((box, index) => {
    const centre = (a) => [a.x + a.w / 2, a.y + a.h / 2];
    const [fx, fy] = centre(from);
    const [bx, by] = centre(box);
    const along = dx ? (bx - fx) * dx : (by - fy) * dy;
    if (along <= 1) return;
    // Sideways counts only where the boxes do not overlap, and then more.
    const gap = dx
      ? Math.max(0, box.y - (from.y + from.h), from.y - (box.y + box.h))
      : Math.max(0, box.x - (from.x + from.w), from.x - (box.x + box.w));
    const cost = along + gap * 3;
    if (cost < bestCost) {
      bestCost = cost;
      best = index;
    }
  });
  return best;
}

function boxOf(element) {
  const r = element.getBoundingClientRect();
  return { x: r.left, y: r.top, w: r.width, h: r.height };
}

export function isTyping(element) {
  return !!element && (element.tagName === 'INPUT' || element.tagName === 'SELECT' || element.tagName === 'TEXTAREA');
}

export function moveFocus(key) {
  const scope = document.querySelector('[data-modal]') || document;
  const controls = Array.from(scope.querySelectorAll(CONTROLS)).filter(
    (element) => element.offsetWidth && element !== document.activeElement && getComputedStyle(element).visibility !== 'hidden'
  );
  const active = document.activeElement;
  if (!active || active === document.body) {
    const first = scope.querySelector('main ' + CONTROLS.split(', ').join(', main ')) || controls[0];
    if (first) first.focus();
    return !!first;
  }
  const index = nearest(boxOf(active), controls.map(boxOf), ARROWS[key]);
  if (index < 0) return false;
  controls[index].focus();
  return true;
}

export function watchKeys() {
  const root = document.documentElement;
  window.addEventListener('keydown', (event) => {
    if (event.key === 'Tab' || ARROWS[event.key]) root.classList.add('keys');
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || !ARROWS[event.key]) return;
    const typing = isTyping(event.target);
    if (typing && !(event.target.type === 'search' && (event.key === 'ArrowDown' || event.key === 'ArrowUp'))) return;
    if (moveFocus(event.key)) event.preventDefault();
  });
  window.addEventListener('pointerdown', () => root.classList.remove('keys'));
}
