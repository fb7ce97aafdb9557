// When a queue is to be loud: thresholds that somebody sets in this browser, for each queue or all.

import { isCurrent } from "../live.js";
import { setting } from "../settings.js";
import { count, duration, percent, t } from "../text.js";
import { levelOf, longestSince } from "./model.js";

/** @typedef {import("./model.js").Line} Line */

/**
 * From when on something is an alarm; null: never.
 *
 * @typedef {object} Limits
 * @property {number | null} waiting so many callers wait
 * @property {number | null} wait one has waited for so many seconds
 * @property {number | null} level fewer percent of the answered were answered within the service level
 */

/** `text`: what is wrong, for people. @typedef {{ what: "waiting" | "wait" | "level", text: string }} Alarm */

/** @type {Limits} */
export const USUAL = { waiting: 5, wait: 60, level: 80 };

const FEWEST_ANSWERED = 10; // with fewer, one call makes the service level jump

/** By the key of a queue; `""` is what holds for all others. @type {import("../../vendor/ui.js").Signal<Record<string, Limits>>} */
const chosen = setting("queue_alarms", {});

/** @param {string} key Of a queue. @returns {Limits} */
export function limitsOf(key) {
  return { ...USUAL, ...chosen.value[""], ...chosen.value[key] };
}

/**
 * @param {string} key of a queue; `""`: all that have none of their own
 * @param {Limits | null} limits null: those of all
 */
export function setLimits(key, limits) {
  const { [key]: _, ...others } = chosen.value;
  chosen.value = limits === null ? others : { ...others, [key]: limits };
}

/**
 * A number as somebody typed it; null: none.
 *
 * @param {string | null | undefined} typed
 */
export function limit(typed) {
  const value = Number(typed);
  return typed === "" || typed === null || typed === undefined || !(value >= 0) ? null : value;
}

/**
 * What is wrong with a queue at this moment: nothing, if what is known of it is not how it is now.
 *
 * @param {Line} line
 * @param {Limits} limits
 * @param {number} now
 * @returns {Alarm[]}
 */
export function alarmsOf(line, limits, now) {
  /** @type {Alarm[]} */
  const found = [];
  if (!isCurrent(line.queue.server)) {
    return found;
  }
  const waiting = line.callers.length;
  if (limits.waiting !== null && waiting > 0 && waiting >= limits.waiting) {
    found.push(alarm("waiting", count(waiting), { count: waiting }));
  }
  const since = longestSince(line);
  if (limits.wait !== null && since !== null && now - since >= limits.wait * 1000) {
    found.push(alarm("wait", duration(now - since)));
  }
  const level = levelOf(line.queue, "answered");
  const isTelling = line.queue["answered"] >= FEWEST_ANSWERED;
  if (limits.level !== null && level !== null && isTelling && level * 100 < limits.level) {
    found.push(alarm("level", percent(level)));
  }
  return found;
}

/**
 * @param {Alarm["what"]} what
 * @param {string} value
 * @param {Record<string, number>} [more]
 * @returns {Alarm}
 */
function alarm(what, value, more = {}) {
  return { what, text: t(`queues.alarm.${what}`, { value, ...more }) };
}

/**
 * How bad it is: the service level is of the whole day, and nobody can mend it at once.
 *
 * @param {Alarm[]} alarms
 * @returns {"" | "notice" | "alarm"}
 */
export const gravityOf = (alarms) =>
  alarms.some(({ what }) => what !== "level") ? "alarm" : alarms.length > 0 ? "notice" : "";

/** What marks a figure that is in alarm. @param {Alarm[]} alarms @param {string} what */
export const markOf = (alarms, what) =>
  !alarms.some((one) => one.what === what) ? "" : what === "level" ? "is-warning" : "is-alarm";

/**
 * How loud somebody who waits is: 0, 1 from half of the limit on, 2 from the limit on.
 *
 * @param {number} since
 * @param {Limits} limits
 * @param {number} now
 */
export function loudness(since, limits, now) {
  const share = limits.wait === null ? 0 : (now - since) / (limits.wait * 1000);
  return share >= 1 ? 2 : share >= 0.5 ? 1 : 0;
}
