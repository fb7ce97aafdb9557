// Telephone numbers: of which country they are, and how they are written internationally.
//
// The library for it is loaded after the page is useful. Until then, and for what is no number of a
// country (extensions, names of trunks), numbers stay as they are.

import { signal } from "../vendor/ui.js";
import { kind } from "./live.js";

/** @typedef {{ country: string, text: string }} Place the two letters, and the number for people */

const SHORTEST = 6; // digits: what is shorter is an extension
const MOST_KEPT = 5000;

/** @type {import("../vendor/ui.js").Signal<typeof import("../vendor/numbers.js") | null>} */
const library = signal(null);

/** @type {import("../vendor/ui.js").Signal<((country: string) => string) | null>} */
const flags = signal(null);

/** Loads what is needed; called once the page shows something. */
export async function loadNumbers() {
  if (library.value !== null) {
    return;
  }
  const [numbers, { flagUrl }] = await Promise.all([
    import("../vendor/numbers.js"),
    import("../vendor/flags.js"),
  ]);
  library.value = numbers;
  flags.value = flagUrl;
}

/** @type {Map<string, Place | null>} */
const known = new Map();

/**
 * What is known of a number as a server has it.
 *
 * @param {string | null | undefined} number
 * @param {number} server
 * @returns {Place | null} null: no number of a country, or the library is not there yet
 */
export function placeOf(number, server) {
  const numbers = library.value;
  if (numbers === null || !number || number.replace(/\D/g, "").length < SHORTEST) {
    return null;
  }
  const home = kind("server").get(0, String(server));
  const [country, prefix] = [home?.["country"], home?.["trunk_prefix"]];
  const key = `${country} ${prefix} ${number}`;
  let place = known.get(key);
  if (place === undefined) {
    place = find(numbers, number, country ?? undefined, prefix ?? "");
    if (known.size >= MOST_KEPT) {
      known.clear();
    }
    known.set(key, place);
  }
  return place;
}

/**
 * As it is; without the digits for an outside line; and as one that has lost its "+", as many
 * carriers send them.
 *
 * @param {typeof import("../vendor/numbers.js")} numbers
 * @param {string} number
 * @param {any} country
 * @param {string} prefix
 * @returns {Place | null}
 */
function find(numbers, number, country, prefix) {
  const outside = prefix !== "" && number.startsWith(prefix) ? [number.slice(prefix.length)] : [];
  for (const text of [...outside, number, `+${number}`]) {
    const parsed = numbers.parsePhoneNumberFromString(text, country);
    if (parsed?.isValid()) {
      const found = parsed.country ?? (parsed.countryCallingCode === "1" ? "US" : undefined);
      return found === undefined ? null : { country: found, text: parsed.formatInternational() };
    }
  }
  return null;
}

/**
 * The address of the picture of a country's flag; empty while it is not known.
 *
 * @param {string} country
 */
export const flagOf = (country) => flags.value?.(country) ?? "";
