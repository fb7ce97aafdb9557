// Flags of countries, one SVG each.

import { hasFlag } from "country-flag-icons";

/**
 * The address of a country's flag, three by two; "" if there is none.
 * @param {string} country Two letters of ISO 3166-1, such as "DE".
 */
export function flagUrl(country) {
  const letters = country.toUpperCase();
  return hasFlag(letters) ? new URL(`${FLAGS}/${letters.toLowerCase()}.svg`, import.meta.url).href : "";
}
