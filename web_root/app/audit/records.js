// What the records of the audit say, as rows to show. No drawing and no signals: values in, values out.

/**
 * A record as GET /api/v1/audit has it; docs/audit.md says which members each kind has.
 *
 * @typedef {{ seq: number, time: string, what: string, [member: string]: any }} AuditRecord
 */

/**
 * What came of an action on one server.
 *
 * @typedef {{ server: number, outcome: string, reason: string, ms: number }} Result
 */

/**
 * A row. `state` is one of STATES, or empty where nothing could succeed or fail.
 *
 * @typedef {object} Entry
 * @property {string} key
 * @property {number} seq
 * @property {AuditRecord} record
 * @property {Result[]} results in the order of the servers
 * @property {string} state
 * @property {string} group one of GROUPS
 * @property {string} reason why not; of a refused one the rule
 * @property {number | null} ms how long it took, of the slowest server
 */

/** What rows can be chosen by: what was done, refused by the program, has failed, and all else. */
export const GROUPS = ["done", "denied", "failed", "other"];

/** Kinds of records, for people. @type {Record<string, string[]>} */
export const KINDS = {
  action: ["action", "repeat"],
  login: ["login", "logout", "read"],
  program: ["start", "stop", "reload", "plugins", "on", "off", "begin", "torn", "outage", "removed"],
};

/** Of several results the worst is told. */
const WORST = ["unknown", "timeout", "unreachable", "left", "refused", "sent", "answered"];

/** What came of something, and where that counts. @type {Record<string, string>} */
export const STATES = {
  answered: "done",
  sent: "done",
  accepted: "done",
  applied: "done",
  denied: "denied",
  refused: "failed",
  timeout: "failed",
  unreachable: "failed",
  unknown: "failed",
  left: "failed",
  not_applied: "failed",
  waiting: "other",
};

/**
 * Rows of records, the newest first; replies belong to the rows of their actions.
 *
 * @param {Iterable<AuditRecord>} records in any order
 * @returns {Entry[]}
 */
export function entries(records) {
  const sorted = [...records].sort((one, other) => other.seq - one.seq);
  /** @type {Map<string, AuditRecord[]>} */
  const replies = new Map();
  for (const record of sorted) {
    if (record.what === "reply") {
      replies.set(record["ref"], [record, ...(replies.get(record["ref"]) ?? [])]);
    }
  }
  return sorted.filter(({ what }) => what !== "reply").map((record) => entry(record, replies.get(record["ref"]) ?? []));
}

/**
 * @param {AuditRecord} record
 * @param {AuditRecord[]} replies the oldest first
 * @returns {Entry}
 */
function entry(record, replies) {
  const results = record.what === "action" ? resultsOf(replies) : [];
  const state = stateOf(record, results);
  const bad = results.find(({ outcome }) => outcome === state);
  return {
    key: String(record.seq),
    seq: record.seq,
    record,
    results,
    state,
    group: STATES[state] ?? "other",
    reason: record["reason"] ?? bad?.reason ?? "",
    ms: results.length > 0 ? Math.max(...results.map(({ ms }) => ms)) : null,
  };
}

/**
 * The last of each server: on the classic socket "sent" comes first, and then perhaps an answer.
 *
 * @param {AuditRecord[]} replies the oldest first
 * @returns {Result[]}
 */
function resultsOf(replies) {
  const last = new Map(replies.map((reply) => [reply["server"], reply]));
  return [...last.values()]
    .map(({ server, outcome, reason = "", ms }) => ({ server, outcome, reason, ms }))
    .sort((one, other) => one.server - other.server);
}

/**
 * @param {AuditRecord} record
 * @param {Result[]} results
 */
function stateOf({ what, allowed, servers }, results) {
  if (what === "reload") {
    return allowed ? "applied" : "not_applied";
  }
  if (allowed === false) {
    return "denied";
  }
  if (what !== "action") {
    return what === "login" ? "accepted" : "";
  }
  const worst = WORST.find((outcome) => results.some((result) => result.outcome === outcome));
  const isWhole = results.length >= (servers?.length ?? 1);
  return worst === undefined || (!isWhole && worst === "answered") ? "waiting" : worst;
}

/** The colour of each group's chip. @type {Record<string, string>} */
export const COLOURS = { done: "good", denied: "bad", failed: "warning", other: "" };

/** @type {WeakMap<AuditRecord, string>} */
const texts = new WeakMap();

/** All of a record that somebody may look for, in small letters. @param {AuditRecord} record */
function textOf(record) {
  let text = texts.get(record);
  if (text === undefined) {
    const { mac, seq, time, ...told } = record;
    text = wordsOf(told).join("\n").toLowerCase();
    texts.set(record, text);
  }
  return text;
}

/** @param {unknown} value @returns {string[]} names and values of what is in it */
function wordsOf(value) {
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([name, part]) => (Array.isArray(value) ? wordsOf(part) : [name, ...wordsOf(part)]));
  }
  return value === null || value === undefined ? [] : [String(value)];
}

/** @typedef {{ search: string, group: string, kind: string }} Filter an empty text takes all */

/**
 * Rows of that group and kind that have all words of the search in them.
 *
 * @param {Entry[]} rows
 * @param {Filter} filter
 */
export function matching(rows, { search, group, kind }) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(
    (row) =>
      (group === "" || row.group === group) &&
      (kind === "" || KINDS[kind]?.includes(row.record.what)) &&
      words.every((word) => `${textOf(row.record)}\n${row.reason.toLowerCase()}`.includes(word)),
  );
}

/**
 * What was done, in a line: the action with its arguments, or what else happened.
 *
 * @param {AuditRecord} record
 */
export function summaryOf(record) {
  switch (record.what) {
    case "action":
      return argumentsOf(record).map(([name, value]) => `${name}: ${value}`).join(" · ");
    case "login":
    case "logout":
      return record["how"] ?? "";
    case "read":
      return Object.entries(record["filter"] ?? {}).map(([name, value]) => `${name}: ${value}`).join(" · ");
    case "reload":
      return (record["changed"] ?? []).join(", ");
    case "plugins":
      return record["plugins"].map((/** @type {{ name: string }} */ { name }) => name).join(", ");
    case "start":
      return record["version"];
    default:
      return "";
  }
}

/**
 * The servers that it was for, as they were called then.
 *
 * @param {AuditRecord} record
 */
export const serversOf = ({ servers = [] }) =>
  servers.map((/** @type {{ id: number, name: string | null }} */ { id, name }) => name ?? id).join(", ");

/**
 * The arguments of an action, one after the other; of one that is repeated each value.
 *
 * @param {AuditRecord} record
 * @returns {[name: string, value: string][]}
 */
export const argumentsOf = ({ arguments: given = {} }) =>
  Object.entries(/** @type {Record<string, string | string[]>} */ (given)).flatMap(([name, value]) =>
    [value].flat().map((one) => /** @type {[string, string]} */ ([name, one])),
  );
