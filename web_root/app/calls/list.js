// Which calls are shown, in which order. No drawing and no signals: values in, values out.

import { partnerOf } from "../partner.js";
import { byText } from "../text.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {import("../parts/table.js").Order} Order */

const PLACES = ["dialled", "trunk", "queue", "conference", "parking", "application"];

/** @type {WeakMap<Entity, string>} entities are values: the text of one never changes */
const texts = new WeakMap();

/**
 * All of a call that somebody may look for, in small letters.
 *
 * @param {Entity} call
 */
function textOf(call) {
  let text = texts.get(call);
  if (text === undefined) {
    // One after the other, without lists between: the first letter that somebody types asks for all.
    text = wordsOf(call["caller"]) + wordsOf(call["callee"]) + wordsOf(call["called"]);
    for (const who of call["ringing"]) {
      text += wordsOf(who);
    }
    for (const who of call["held"]) {
      text += wordsOf(who);
    }
    for (const place of PLACES) {
      text += call[place] ? `${call[place]}\n` : "";
    }
    text = text.toLowerCase();
    texts.set(call, text);
  }
  return text;
}

/** @param {{ name?: string | null, number?: string | null } | null} who */
const wordsOf = (who) => (who === null ? "" : `${who.name ?? ""}\n${who.number ?? ""}\n`);

/** @typedef {{ search: string, phase: string, server: string }} Filter an empty text takes all */

/**
 * The calls of that phase and server that have all words of the search in them.
 *
 * @param {Entity[]} calls
 * @param {Filter} filter
 */
export function matching(calls, { search, phase, server }) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0 && phase === "" && server === "") {
    return calls;
  }
  return calls.filter(
    (call) =>
      (phase === "" || call["phase"] === phase) &&
      (server === "" || String(call.server) === server) &&
      words.every((word) => textOf(call).includes(word)),
  );
}

/**
 * What names a call among those of all servers.
 *
 * @param {Entity} call
 */
export const keyOf = ({ server, id }) => `${server} ${id}`;

/** @type {Record<string, (one: Entity, other: Entity) => number>} */
const ORDERS = {
  state: byText(({ phase }) => phase),
  caller: byText(({ caller }) => label(caller)),
  called: byText((call) => label(partnerOf(call))),
  server: (one, other) => one.server - other.server,
  since: (one, other) => other["created"] - one["created"],
};

/**
 * Sorted; calls that are equal in the column stay in the order in which they began, so that a row
 * stays where it is while others come and go.
 *
 * @param {Entity[]} calls
 * @param {Order} order
 * @param {Entity[]} [before] calls in this very order: those that are still there, and are as they
 *   were, need not be sorted again
 */
export function sorted(calls, { column, descending }, before = []) {
  const first = ORDERS[column] ?? (() => 0);
  const sign = descending ? -1 : 1;
  /** @type {(one: Entity, other: Entity) => number} */
  const by = (one, other) => sign * first(one, other) || one["created"] - other["created"];
  const wanted = new Set(calls);
  const kept = before.filter((call) => wanted.has(call));
  const known = new Set(kept);
  return merged(kept, calls.filter((call) => !known.has(call)).sort(by), by);
}

/**
 * Two sorted lists as one.
 *
 * @param {Entity[]} many
 * @param {Entity[]} few
 * @param {(one: Entity, other: Entity) => number} by
 */
function merged(many, few, by) {
  /** @type {Entity[]} */
  const rows = [];
  let taken = 0;
  for (const call of few) {
    const place = placeIn(many, call, by);
    rows.push(...many.slice(taken, place), call);
    taken = place;
  }
  return [...rows, ...many.slice(taken)];
}

/**
 * Before which of the sorted ones a call belongs.
 *
 * @param {Entity[]} calls
 * @param {Entity} call
 * @param {(one: Entity, other: Entity) => number} by
 */
function placeIn(calls, call, by) {
  let [low, high] = [0, calls.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (by(/** @type {Entity} */ (calls[middle]), call) <= 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** @param {{ name?: string, number?: string } | null} who */
const label = (who) => who?.name ?? who?.number ?? "";
