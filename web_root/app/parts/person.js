// Somebody in a call: the name, and the number below it.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** @typedef {{ readonly name?: string | null, readonly number?: string | null }} Someone */
/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/**
 * What to call somebody, as text.
 *
 * @param {Someone | Entity | null | undefined} someone
 * @returns {string}
 */
export const nameOf = (someone) => someone?.name || someone?.number || "";

/**
 * @param {{ who: Someone | Entity | null | undefined, server?: number, others?: number }} props `others`: how
 *   many more; `server`: whose numbers these are
 */
export function Person({ who, others = 0 }) {
  const name = nameOf(who) || t("person.unknown");
  const number = who?.name ? who.number : null;
  return html`
    <span class="person">
      <span class="who">${name}${others > 0 && html` <small>${t("person.others", { count: others })}</small>`}</span>
      ${number && html`<span class="number">${number}</span>`}
    </span>
  `;
}
