// The tables of queues as they are shown and exported: columns in one place, so that figures which
// the live state gains later need a line here.

import { now } from "../live.js";
import { duration, percent, t, timeOfDay } from "../text.js";
import { moment } from "./csv.js";
import { labelOf, levelOf, longestSince, standingOf } from "./model.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {import("./csv.js").Cell} Cell */
/** @typedef {import("./model.js").Line} Line */

/**
 * A figure of an agent: `shown` in the table, `cell` in the file.
 *
 * @typedef {object} AgentColumn
 * @property {string} name field of the entity `queue_member`, and of its text `queues.agent.NAME`
 * @property {(value: any) => string} shown
 * @property {(value: any) => Cell} cell
 */

const plain = { shown: String, cell: (/** @type {number} */ value) => value };
const time = { shown: timeOfDay, cell: moment };
const seconds = {
  shown: (/** @type {number} */ value) => duration(value * 1000),
  cell: (/** @type {number} */ value) => value,
};

/** @type {AgentColumn[]} */
const AGENT_COLUMNS = [
  { name: "calls_taken", ...plain },
  { name: "answered", ...plain },
  { name: "missed", ...plain },
  { name: "talk_time", ...seconds },
  { name: "pause_time", ...seconds },
  { name: "login_time", ...time },
  { name: "last_call", ...time },
];

const isKnown = (/** @type {any} */ value) => value !== null && value !== undefined;

/**
 * The columns of which at least one member has a figure.
 *
 * @param {Entity[]} members
 */
export const agentColumns = (members) =>
  AGENT_COLUMNS.filter(({ name }) => members.some((member) => isKnown(member[name])));

/** What a cell shows. @param {AgentColumn} column @param {Entity} member */
export const agentFigure = ({ name, shown }, member) => (isKnown(member[name]) ? shown(member[name]) : "–");

/** @param {Line} line @returns {Cell[][]} */
export function agentRows({ queue, members }) {
  const columns = agentColumns(members);
  const names = ["queue", "agent", "interface", "state", "reason", ...columns.map(({ name }) => name)];
  return [
    names.map((name) => t(`queues.agent.${name}`)),
    ...members.map((member) => [
      queue.id,
      labelOf(member),
      member["interface"],
      t(`queues.standing.${member["paused"] ? "paused" : standingOf(member)}`),
      member["reason"],
      ...columns.map(({ name, cell }) => (isKnown(member[name]) ? cell(member[name]) : "")),
    ]),
  ];
}

/** @param {Entity} queue @returns {Cell[][]} */
export function abandonedRows(queue) {
  const names = ["number", "name", "when", "waited_seconds"];
  return [
    names.map((name) => t(`queues.gave_up.${name}`)),
    ...queue["last_abandoned"].map((/** @type {any} */ { number, name, at, wait }) => [number, name, moment(at), wait]),
  ];
}

/** Columns of the file of all queues, each with its text. @type {[text: string, cell: (line: Line, servers: Map<number, string>) => Cell][]} */
const QUEUE_COLUMNS = [
  ["agent.queue", ({ queue }) => queue.id],
  ["server", ({ queue }, servers) => servers.get(queue.server)],
  ["waiting", ({ callers }) => callers.length],
  ["longest_now", (line) => secondsSince(longestSince(line))],
  ["idle", ({ totals }) => totals.idle],
  ["talking", ({ totals }) => totals.talking],
  ["paused", ({ totals }) => totals.paused],
  ["logged_in", ({ totals }) => totals.loggedIn],
  ["entered", ({ queue }) => queue["entered"]],
  ["answered", ({ queue }) => queue["answered"]],
  ["abandoned", ({ queue }) => queue["abandoned"]],
  ["level_answered", ({ queue }) => share(levelOf(queue, "answered"))],
  ["level_entered", ({ queue }) => share(levelOf(queue, "entered"))],
  ["longest_wait", ({ queue }) => queue["longest_wait"]],
  ["counted_since", ({ queue }) => moment(queue["counted_since"])],
];

const share = (/** @type {number | null} */ level) => (level === null ? "" : percent(level));

const secondsSince = (/** @type {number | null} */ since) =>
  since === null ? "" : Math.max(0, Math.floor((now.peek() - since) / 1000));

/** @param {Line[]} all @param {Map<number, string>} servers @returns {Cell[][]} */
export const queueRows = (all, servers) => [
  QUEUE_COLUMNS.map(([text]) => t(`queues.${text}`)),
  ...all.map((line) => QUEUE_COLUMNS.map(([, cell]) => cell(line, servers))),
];
