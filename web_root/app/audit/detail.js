// One record of the audit: all that it says.

import { html, useEffect, useRef } from "../../vendor/ui.js";
import { serverNames } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Icon } from "../parts/icon.js";
import { day, decimal, t, timeOfDay } from "../text.js";
import { argumentsOf, COLOURS, serversOf, STATES, summaryOf } from "./records.js";

/** @typedef {import("./records.js").Entry} Entry */
/** @typedef {import("./records.js").AuditRecord} AuditRecord */

/** Members that have a place of their own here. */
const TOLD = new Set(
  ["seq", "time", "what", "mac", "ref", "allowed", "code", "reason", "more", "user", "address"].concat(
    ["roles", "view", "how", "action", "arguments", "servers"],
  ),
);

/** @param {{ row: Entry | null, onClose: () => void }} props */
export function Detail({ row, onClose }) {
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => heading.current?.focus(), []);
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.key === "Escape") {
      onClose();
    }
  };
  return html`
    <section class="detail card" aria-labelledby="detail-title" onKeyDown=${onKeyDown}>
      <header>
        <h2 id="detail-title" tabindex="-1" ref=${heading}>${titleOf(row)}</h2>
        <button type="button" class="bare" aria-label=${t("app.close")} onClick=${onClose}><${Icon} name="close" /></button>
      </header>
      ${row === null ? html`<p class="empty">${t("audit.gone")}</p>` : html`<${Told} row=${row} />`}
    </section>
  `;
}

/** @param {Entry | null} row */
const titleOf = (row) => row?.record["action"] ?? t(row === null ? "audit.title" : `audit.whats.${row.record.what}`);

/** @param {{ row: Entry }} props */
function Told({ row: { record, results, state, group, reason } }) {
  const at = Date.parse(record.time);
  return html`
    ${record.what === "repeat" && html`<p>${t("audit.whats.repeat")}</p>`}
    ${state in STATES && html`<p><${Chip} kind=${COLOURS[group] ?? ""} text=${t(`audit.states.${state}`)} /></p>`}
    ${reason && html`<p class=${group === "denied" ? "audit-rule" : ""}>${reason}</p>`}
    <dl class="facts">
      <${Fact} name="time">${day(at)}, ${timeOfDay(at)}<//>
      <${Fact} name="who">${record["user"]}<//>
      <${Fact} name="address">${record["address"]}<//>
      <${Fact} name="roles">${record["roles"]?.join(", ")}<//>
      <${Fact} name="where">${serversOf(record)}<//>
      <${Fact} name="view">${record["view"] ?? record["how"]}<//>
      <${Fact} name="code">${record["code"]}<//>
      <${Fact} name="more">${record["more"]}<//>
      <${Fact} name="ref">${record["ref"]}<//>
      <${Fact} name="seq">${record.seq}<//>
    </dl>
    <${Pairs} title="arguments" pairs=${argumentsOf(record)} />
    ${results.length > 0 && html`<h3>${t("audit.results")}</h3>`}
    <ul class="legs">
      ${results.map(
        ({ server, outcome, reason: why, ms }) => html`
          <li key=${server}>
            <strong>${nameOf(record, server)}</strong> ${t(`audit.states.${outcome}`)} · ${decimal(ms)} ms
            ${why && html`<small>${why}</small>`}
          </li>
        `,
      )}
    </ul>
    <${Pairs} title="members" pairs=${othersOf(record)} />
  `;
}

/**
 * The server as it was called then.
 *
 * @param {AuditRecord} record
 * @param {number} server
 */
const nameOf = ({ servers = [] }, server) =>
  servers.find((/** @type {{ id: number }} */ { id }) => id === server)?.name ?? serverNames.value.get(server) ?? server;

/** A fact, unless nothing is known of it. @param {{ name: string, children?: any }} props */
function Fact({ name, children }) {
  const isKnown = [children].flat().some((one) => one !== null && one !== undefined && one !== "");
  return isKnown && html`<div><dt>${t(`audit.${name}`)}</dt><dd>${children}</dd></div>`;
}

/** @param {{ title: string, pairs: [name: string, value: string][] }} props */
function Pairs({ title, pairs }) {
  return (
    pairs.length > 0 &&
    html`
      <h3>${t(`audit.${title}`)}</h3>
      <dl class="headers">
        ${pairs.map(([name, value], index) => html`<div key=${index}><dt>${name}</dt><dd>${value}</dd></div>`)}
      </dl>
    `
  );
}

/**
 * What kinds of records that are rare say, as it is in the file.
 *
 * @param {AuditRecord} record
 * @returns {[name: string, value: string][]}
 */
const othersOf = (record) =>
  Object.entries(record)
    .filter(([name]) => !TOLD.has(name))
    .map(([name, value]) => [name, typeof value === "object" ? summaryOf(record) || JSON.stringify(value) : String(value)]);
