// Telephone numbers: of which country they are, and how they are written internationally.
//
// The library for it is loaded after the page is useful. Until then, and for what is no number of a
// country (extensions, names of trunks), numbers stay as they are. To read a number takes the library
// up to a millisecond, so that they are read a few at a time, beside the drawing.

import { batch, signal } from "../vendor/ui.js";
import { servers, steadily } from "./live.js";

/** @typedef {{ country: string, text: string }} Place the two letters, and the number for people */

const SHORTEST = 6; // digits: what is shorter is an extension
const MOST_KEPT = 5000;
const READ_FOR = 8; // milliseconds at a time
const PAUSE = 16; // milliseconds between

/** @type {import("../vendor/ui.js").Signal<typeof import("../vendor/numbers.js") | null>} */
const library = signal(null);

/** @type {import("../vendor/ui.js").Signal<((country: string) => string) | null>} */
const flags = signal(null);

/** The country and the trunk prefix of each server, by its number. */
const homes = steadily(
  () => new Map(servers.value.map(({ id, country, trunk_prefix: prefix }) => [Number(id), { country, prefix }])),
  (found) => JSON.stringify([...found]),
);

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

/** @type {Map<string, import("../vendor/ui.js").Signal<Place | null>>} */
const known = new Map();

/** What is still to be read. @type {(() => void)[]} */
let unread = [];

/**
 * What is known of a number as a server has it.
 *
 * @param {string | null | undefined} number
 * @param {number} server
 * @returns {Place | null} null: no number of a country, or not yet known
 */
export function placeOf(number, server) {
  const numbers = library.value;
  if (numbers === null || !number || number.replace(/\D/g, "").length < SHORTEST) {
    return null;
  }
  const { country, prefix } = homes.value.get(server) ?? {};
  const key = `${country} ${prefix} ${number}`;
  let place = known.get(key);
  if (place === undefined) {
    const added = signal(/** @type {Place | null} */ (null));
    if (known.size >= MOST_KEPT) {
      known.clear();
    }
    known.set(key, added);
    readSoon(() => (added.value = find(numbers, number, country ?? undefined, prefix ?? "")));
    place = added;
  }
  return place.value;
}

/** @param {() => void} read */
function readSoon(read) {
  unread.push(read);
  if (unread.length === 1) {
    setTimeout(readSome, 0);
  }
}

function readSome() {
  const end = performance.now() + READ_FOR;
  let done = 0;
  batch(() => {
    while (done < unread.length && performance.now() < end) {
      unread[done]?.();
      done += 1;
    }
  });
  unread = unread.slice(done);
  if (unread.length > 0) {
    setTimeout(readSome, PAUSE);
  }
}

/**
 * As it is; without the digits for an outside line; and as one that has lost its "+", as many
 * carriers send them. The last comes first where a number of the own country would begin with 0.
 *
 * @param {typeof import("../vendor/numbers.js")} numbers
 * @param {string} number
 * @param {any} country
 * @param {string} prefix
 * @returns {Place | null}
 */
function find(numbers, number, country, prefix) {
  const outside = prefix !== "" && number.startsWith(prefix) ? [number.slice(prefix.length)] : [];
  const [abroad] = read(numbers, [`+${number}`], country);
  const lacksZero = !number.startsWith("0") && prefixOf(numbers, country) === "0";
  const [home] = read(numbers, abroad && lacksZero ? outside : [...outside, number], country);
  const known = home ?? abroad;
  const where = known?.country ?? (known?.countryCallingCode === "1" ? "US" : undefined);
  return known && where ? { country: where, text: known.formatInternational() } : null;
}

/**
 * What is dialled ahead of a number of a country within it.
 *
 * @param {typeof import("../vendor/numbers.js")} numbers
 * @param {any} country
 */
function prefixOf(numbers, country) {
  const metadata = new numbers.Metadata();
  if (!country || !numbers.isSupportedCountry(country)) {
    return undefined;
  }
  metadata.selectNumberingPlan(country);
  return /** @type {any} */ (metadata.numberingPlan)?.nationalPrefix(); // the types lack it
}

/**
 * Those of some texts that are numbers.
 *
 * @param {typeof import("../vendor/numbers.js")} numbers
 * @param {string[]} texts
 * @param {any} country
 */
const read = (numbers, texts, country) =>
  texts.map((text) => numbers.parsePhoneNumberFromString(text, country)).filter((found) => found?.isValid());

/**
 * The address of the picture of a country's flag; empty while it is not known.
 *
 * @param {string} country
 */
export const flagOf = (country) => flags.value?.(country) ?? "";
