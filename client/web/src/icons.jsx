// SPDX-License-Identifier: MIT
// Line icons of one weight, on a 24 grid.
import { h } from 'preact';

const PATHS = {
  now: 'M4 6h16v10H4zM9 20h6M12 16v4M10.5 9v4l3.5-2z',
  library: 'M5 4h4v16H5zM9 4h4v16H9zM14.5 5l3.8-1 3.5 15-3.8 1z',
  language: 'M4 12a8 8 0 1 0 16 0a8 8 0 1 0-16 0M4 12h16M12 4c3 3 3 13 0 16M12 4c-3 3-3 13 0 16',
  back: 'M15 5l-7 7 7 7',
  close: 'M6 6l12 12M18 6L6 18',
  sound: 'M4 10v4h4l5 4V6l-5 4zM16 9c1.6 1.6 1.6 4.4 0 6M18.5 6.5c3 3 3 8 0 11',
  muted: 'M4 10v4h4l5 4V6l-5 4zM16.5 9.5l5 5M21.5 9.5l-5 5',
  'layout-corner': 'M3 5h18v14H3zM14 13h7v6h-7z',
  'layout-side': 'M3 6h12v12H3zM15 9h6v6h-6z',
  'layout-slides': 'M3 5h18v14H3zM7 10h10M7 14h6',
  'layout-main': 'M3 5h18v14H3zM9.5 10a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0M7 19c0-6 10-6 10 0',
  full: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  fullOff: 'M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5',
  quality: 'M4 7h9M17 7h3M4 17h3M11 17h9M13 7a2 2 0 1 0 4 0a2 2 0 1 0-4 0M7 17a2 2 0 1 0 4 0a2 2 0 1 0-4 0',
  line: 'M3 13h4l3-8 4 14 3-6h4',
  play: 'M7 4l13 8-13 8z',
  pause: 'M7 5h3v14H7zM14 5h3v14h-3z',
  rewind: 'M4 12a8 8 0 1 0 3-6.2M7 2v4h4',
  forward: 'M20 12a8 8 0 1 1-3-6.2M17 2v4h-4',
  speed: 'M4 17a9 9 0 1 1 16 0M12 14l4-5',
  info: 'M3 12a9 9 0 1 0 18 0a9 9 0 1 0-18 0M12 11v6M12 7v.5',
  download: 'M12 4v11M7 10l5 5 5-5M5 20h14',
  search: 'M4 10.5a6.5 6.5 0 1 0 13 0a6.5 6.5 0 1 0-13 0M15.5 15.5L21 21',
  filter: 'M4 6h16M7 12h10M10 18h4',
};

export function Icon({ name }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
