// Somebody in a call: the name, and the number below it.

import { html } from "../../vendor/ui.js";
import { flagOf, placeOf } from "../numbers.js";
import { countryName, t } from "../text.js";

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
export function Person({ who, server, others = 0 }) {
  const name = nameOf(who) || t("person.unknown");
  const place = server === undefined ? null : placeOf(who?.number, server);
  const number = place?.text ?? who?.number;
  return html`
    <span class="person">
      <span class="who">
        ${who?.name ? name : (number ?? name)}${others > 0 && html` <small>${t("person.others", { count: others })}</small>`}
      </span>
      ${(who?.name || place) &&
      html`<span class="number">
        ${place && html`<${Flag} country=${place.country} /> `}
        ${who?.name ? number : place && countryName(place.country)}
      </span>`}
    </span>
  `;
}

/** @param {{ country: string }} props two letters */
export function Flag({ country }) {
  const url = flagOf(country);
  const name = countryName(country);
  return url && html`<img key=${country} class="flag" src=${url} alt=${name} title=${name} width="18" height="12" loading="lazy" />`;
}
