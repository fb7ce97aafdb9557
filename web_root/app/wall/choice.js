// What a wallboard shows, as its address says: `#/wall?queue=sales&queue=support&server=1`.
//
// queue: names; server: numbers; without the one or the other all of them. all=1: everything.
// waiting, wait, level: thresholds of alarms in place of those of this browser. seconds: how long a
// page is shown.

import { limit, limitsOf } from "../queues/alarms.js";

/** @typedef {import("../queues/model.js").Line} Line */
/** @typedef {import("../queues/alarms.js").Limits} Limits */

const USUAL_SECONDS = 8;
const FEWEST_SECONDS = 3; // below, nobody can read a page

/** Whether an address chooses anything. @param {URLSearchParams} params */
export const isChosen = (params) => ["all", "queue", "server"].some((name) => params.has(name));

/**
 * @param {Line[]} all
 * @param {URLSearchParams} params
 */
export function chosenLines(all, params) {
  const [queues, servers] = [new Set(params.getAll("queue")), serversOf(params)];
  return all.filter(
    ({ queue }) =>
      (queues.size === 0 || queues.has(queue.id)) && (servers.size === 0 || servers.has(queue.server)),
  );
}

/** The numbers of the servers; none: all. @param {URLSearchParams} params */
export const serversOf = (params) => new Set(params.getAll("server").map(Number));

/** @param {string} key Of a queue. @param {URLSearchParams} params @returns {Limits} */
export function wallLimits(key, params) {
  /** @type {any} */
  const limits = { ...limitsOf(key) };
  for (const name of Object.keys(limits)) {
    if (params.has(name)) {
      limits[name] = limit(params.get(name));
    }
  }
  return limits;
}

/** How long a page is shown, in seconds. @param {URLSearchParams} params */
export const secondsOf = (params) =>
  Math.max(FEWEST_SECONDS, limit(params.get("seconds")) || USUAL_SECONDS);
