// How long something has lasted, kept up to date by the clock of amiws-gevent.

import { html } from "../../vendor/ui.js";
import { now } from "../live.js";
import { dayAndTime, duration } from "../text.js";

/**
 * @param {{ at: number | null | undefined, until?: number }} props in milliseconds since 1970; without
 *   `until` it still lasts. Null shows nothing.
 */
export function Since({ at, until }) {
  if (at === null || at === undefined) {
    return html`<span class="since"></span>`;
  }
  return html`<time class="since" title=${dayAndTime(at)}>${duration((until ?? now.value) - at)}</time>`;
}
