// A state, in words and in the colour of its kind: see "chip" in style/parts.css.

import { html } from "../../vendor/ui.js";

/** @param {{ kind: string, text: string }} props `kind` chooses the colour */
export function Chip({ kind, text }) {
  return html`<span class="chip" data-kind=${kind}>${text}</span>`;
}
