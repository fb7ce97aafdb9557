// The icons: lines of one weight in a box of 24, drawn in the colour of the text. They say nothing
// to a screen reader; the text or label beside them does.

import { html } from "../../vendor/ui.js";

/** @type {Record<string, string>} */
const PATHS = {
  calls: "M6 3h3l2 5-2.5 1.5a11 11 0 0 0 6 6L16 13l5 2v3a3 3 0 0 1-3 3A15 15 0 0 1 3 6a3 3 0 0 1 3-3z",
  queue: "M4 6h16M4 12h16M4 18h10",
  phone: "M7 2h10v20H7zM11 18h2",
  trunk: "M3 12h18M15 6l6 6-6 6M9 6l-6 6 6 6",
  room: "M9 8a3 3 0 1 0 .1 0zM3 20c0-3 3-5 6-5s6 2 6 5M16 5a3 3 0 0 1 0 6M18 14c2 .7 3 2.500 3 5",
  server: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
  map: "M12 3a9 9 0 1 0 .1 0zM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18",
  audit: "M6 3h12v18H6zM9 8h6M9 12h6M9 16h3",
  wall: "M3 4h18v12H3zM8 20h8M12 16v4",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4v6M6 14v6",
  close: "M6 6l12 12M18 6L6 18",
  search: "M10 4a6 6 0 1 0 .1 0zM15 15l5 5",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  hang_up: "M3 14c5-5 13-5 18 0l-2 3-4-2v-3c-2-.6-4-.6-6 0v3l-4 2z",
  redirect: "M4 18v-3a5 5 0 0 1 5-5h10M15 6l4 4-4 4",
  park: "M8 20V4h5a4.500 4.500 0 0 1 0 9H8",
  pause: "M8 5v14M16 5v14",
  play: "M8 5l11 7-11 7z",
  listen: "M4 14v-2a8 8 0 0 1 16 0v2M4 14h3v6H5a1 1 0 0 1-1-1zM20 14h-3v6h2a1 1 0 0 0 1-1z",
  whisper: "M12 3v10M9 6v4a3 3 0 0 0 6 0V6a3 3 0 0 0-6 0zM6 11a6 6 0 0 0 12 0M12 17v4",
  barge: "M4 12h10M10 8l4 4-4 4M18 4v16",
  mute: "M4 4l16 16M9 6a3 3 0 0 1 6 0v6M12 18v3M6 11a6 6 0 0 0 9.500 5",
  lock: "M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3",
  alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
  bell: "M6 17V11a6 6 0 0 1 12 0v6l2 2H4zM10 21h4",
  bell_off: "M6 17V11a6 6 0 0 1 9-5.200M18 11v6l2 2H7M10 21h4M4 4l16 16",
  sound: "M4 9h4l5-4v14l-5-4H4zM16 9a4 4 0 0 1 0 6M18.500 6a8 8 0 0 1 0 12",
  sound_off: "M4 9h4l5-4v14l-5-4H4zM16 9l5 6M21 9l-5 6",
  add: "M12 5v14M5 12h14",
  leave: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  mail: "M3 6h18v12H3zM3 7l9 7 9-7",
  check: "M5 12l5 5 9-10",
  back: "M15 6l-6 6 6 6",
};

/** @param {{ name: string }} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>`;
}
