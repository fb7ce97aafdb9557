// The last records of the audit, as signals: asked for anew every few seconds while somebody looks.

import { computed, signal } from "../../vendor/ui.js";
import { entries } from "./records.js";

/** @typedef {import("./records.js").AuditRecord} AuditRecord */

const ADDRESS = new URL("../../api/v1/audit", import.meta.url); // relative, as that of the socket
const EVERY = 3000; // milliseconds
const PAGE = 200; // records
const MOST = 5000; // records that are kept, the newest ones

/** @type {import("../../vendor/ui.js").Signal<Map<number, AuditRecord>>} */
const records = signal(new Map());

/** Rows, the newest first. */
export const rows = computed(() => entries(records.value.values()));

/**
 * How it stands: a code of the API where it gives nothing ("not_allowed", "audit_off"), "failed" where
 * it does not answer; "loading" before the first answer, then "".
 */
export const problem = signal("loading");

/** Why no records can be written now; empty: they can. */
export const outage = signal("");

/** Whether there are older ones than these. */
export const hasOlder = signal(false);

/** Whether older ones are on their way. */
export const isLoadingOlder = signal(false);

/**
 * Keeps the records up to date until the function that this returns is called.
 *
 * @returns {() => void}
 */
export function follow() {
  records.value = new Map(); // of a while ago, and perhaps of another audit
  problem.value = "loading";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let isOver = false;
  const turn = async () => {
    if (!document.hidden) {
      await update();
    }
    if (!isOver) {
      timer = setTimeout(turn, EVERY);
    }
  };
  void turn();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** What has come since; at first, or if that is too much, the last page. */
async function update() {
  const newest = Math.max(0, ...records.value.keys());
  const found = await ask({ after: String(newest) });
  if (found !== null && (newest === 0 || found.length === PAGE)) {
    records.value = new Map();
    hasOlder.value = found.length === PAGE;
  }
  take(found ?? []);
}

/** Gets the page before the oldest one. */
export async function loadOlder() {
  isLoadingOlder.value = true;
  const found = await ask({ before: String(Math.min(...records.value.keys())) });
  isLoadingOlder.value = false;
  if (found !== null) {
    hasOlder.value = found.length === PAGE;
    take(found);
  }
}

/** @param {AuditRecord[]} found */
function take(found) {
  if (found.length > 0) {
    const all = [...records.value, ...found.map((record) => /** @type {const} */ ([record.seq, record]))];
    records.value = new Map(all.sort(([one], [other]) => other - one).slice(0, MOST));
  }
}

/**
 * @param {Record<string, string>} which
 * @returns {Promise<AuditRecord[] | null>} null: there is no answer, and `problem` says why
 */
async function ask(which) {
  const address = new URL(ADDRESS);
  address.search = String(new URLSearchParams({ limit: String(PAGE), ...which }));
  try {
    const answer = await fetch(address);
    const told = await answer.json();
    problem.value = answer.ok ? "" : told.code;
    outage.value = answer.ok ? told.reason : "";
    if (!answer.ok) {
      records.value = new Map(); // who may not see them any more does not
    }
    return answer.ok ? told.items : null;
  } catch {
    problem.value = "failed";
    return null;
  }
}
