// What is known of a queue together: the queue, who waits in it, who serves it. Signals over
// live.js; entities are values, so that what is counted of them is kept until one changes.

import { computed, useEffect } from "../../vendor/ui.js";
import { hold, kind } from "../live.js";
import { compare } from "../text.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/**
 * @typedef {object} Totals
 * @property {number} loggedIn whose phone can be reached
 * @property {number} idle could take a call now: neither in one nor paused
 * @property {number} talking
 * @property {number} paused also who still talks
 */

/**
 * @typedef {object} Line
 * @property {string} key
 * @property {Entity} queue
 * @property {Entity[]} callers who has waited longest first
 * @property {Entity[]} members by name
 * @property {Totals} totals
 */

/** How a member stands, as one word: what people want to know of it first. @param {Entity} member */
export function standingOf({ state, in_call: inCall, paused }) {
  if (inCall || TALKING.has(state)) {
    return state === "on_hold" ? "on_hold" : "talking";
  }
  if (state === "unavailable" || state === "invalid") {
    return "unavailable";
  }
  if (state === "ringing") {
    return "ringing";
  }
  return paused ? "paused" : state === "idle" ? "idle" : "unknown";
}

const TALKING = new Set(["in_use", "busy", "ringing_in_use", "on_hold"]);

/** @param {Entity[]} members @returns {Totals} */
export function totalsOf(members) {
  const totals = { loggedIn: 0, idle: 0, talking: 0, paused: 0 };
  for (const member of members) {
    const standing = standingOf(member);
    if (standing !== "unavailable") {
      totals.loggedIn += 1;
      totals.idle += standing === "idle" ? 1 : 0;
      totals.talking += standing === "talking" || standing === "on_hold" ? 1 : 0;
      totals.paused += member["paused"] ? 1 : 0;
    }
  }
  return totals;
}

/** @param {number} server @param {string} queue */
export const keyOf = (server, queue) => `${server} ${queue}`;

/** By queue. @param {Entity[]} entities @returns {Map<string, Entity[]>} */
function byQueue(entities) {
  const groups = new Map();
  for (const entity of entities) {
    const key = keyOf(entity.server, entity["queue"]);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, [entity]);
    } else {
      group.push(entity);
    }
  }
  return groups;
}

const callers = computed(() => {
  const groups = byQueue(kind("queue_caller").list.value);
  for (const group of groups.values()) {
    group.sort((one, other) => one["since"] - other["since"] || one["position"] - other["position"]);
  }
  return groups;
});

const members = computed(() => {
  const groups = byQueue(kind("queue_member").list.value);
  for (const group of groups.values()) {
    group.sort((one, other) => compare(labelOf(one), labelOf(other)));
  }
  return groups;
});

/** What to call a member. @param {Entity} member */
export const labelOf = ({ name, interface: device }) => String(name || device);

/** All queues, by name and then server. */
export const lines = computed(() =>
  kind("queue")
    .list.value.map((queue) => lineOf(queue))
    .sort((one, other) => compare(one.queue.id, other.queue.id) || one.queue.server - other.queue.server),
);

/** @param {Entity} queue @returns {Line} */
function lineOf(queue) {
  const key = keyOf(queue.server, queue.id);
  const its = members.value.get(key) ?? [];
  return { key, queue, callers: callers.value.get(key) ?? [], members: its, totals: totalsOf(its) };
}

/** In a component: subscribes to queues while it is there. */
export function useLines() {
  useEffect(() => hold("queue"), []);
  return lines.value;
}

/** Since when the first one has waited; null if nobody does. @param {Line} line @returns {number | null} */
export const longestSince = ({ callers: waiting }) => waiting[0]?.["since"] ?? null;

/**
 * The share of calls that were answered within the service level.
 *
 * @param {Entity} queue
 * @param {"answered" | "entered"} among of which
 * @returns {number | null} null: there was none yet
 */
export function levelOf(queue, among) {
  return queue[among] > 0 ? queue["answered_in_level"] / queue[among] : null;
}
