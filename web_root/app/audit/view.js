// Who did what: the last records of the audit trail, found as one types, each with all that it says.

import { html, useEffect, useMemo, useState } from "../../vendor/ui.js";
import { Chip } from "../parts/chip.js";
import { Loaded } from "../parts/loaded.js";
import { Table } from "../parts/table.js";
import { goTo, route } from "../route.js";
import { day, language, t, timeOfDay } from "../text.js";
import { Filters } from "./filters.js";
import { COLOURS, matching, serversOf, STATES, summaryOf } from "./records.js";
import { follow, hasOlder, isLoadingOlder, loadOlder, outage, problem, rows } from "./trail.js";

/** @typedef {import("./records.js").Entry} Entry */

const loadDetail = async () => (await import("./detail.js")).Detail;

/** The view. */
export function Audit() {
  useEffect(follow, []);
  const [filter, setFilter] = useState({ search: "", group: "", kind: "" });
  const all = rows.value;
  const found = useMemo(() => matching(all, filter), [all, filter]);
  const [heldAt, hold] = useHold(found.length === 0);
  const shown = useMemo(() => found.filter(({ seq }) => heldAt === null || seq <= heldAt), [found, heldAt]);
  const chosen = route.value.params.get("record");
  const columns = useMemo(columnsOf, [language.value]);
  if (problem.value !== "" && all.length === 0) {
    return html`<h2>${t("audit.title")}</h2><p class="empty card" role="status">${problemText()}</p>`;
  }
  const newer = heldAt === null ? 0 : all.filter(({ seq }) => seq > heldAt).length;
  return html`
    <${Filters} rows=${all} filter=${filter} onFilter=${setFilter} />
    ${outage.value !== "" && html`<p class="alarm" role="alert">${t("audit.outage", { reason: outage.value })}</p>`}
    <div class=${chosen === null ? "calls-split" : "calls-split with-detail"}>
      <div class="calls-list" ...${hold}>
        ${newer > 0 && html`<p class="audit-newer" role="status">${t("audit.newer", { count: newer })}</p>`}
        ${shown.length === 0
          ? html`<p class="empty card">${t(all.length > 0 ? "audit.no_match" : "audit.none")}</p>`
          : html`<${Table} name="audit" label=${t("audit.title")} rows=${shown} keyOf=${keyOf} columns=${columns}
              onOpen=${open} classOf=${(/** @type {Entry} */ row) => `${row.group}${row.key === chosen ? " chosen" : ""}`} />`}
        <${Older} />
      </div>
      ${chosen !== null &&
      html`<div class="detail-place">
        <${Loaded} load=${loadDetail} key=${chosen} row=${all.find(({ key }) => key === chosen) ?? null}
          onClose=${() => goTo("audit")} />
      </div>`}
    </div>
  `;
}

/** @param {Entry} row */
const keyOf = ({ key }) => key;

/** @param {Entry} row */
const open = ({ key }) => goTo("audit", { record: key }, { replace: route.value.params.has("record") });

/**
 * While the pointer is on the list, or the list is scrolled down, rows stay where they are: newer ones
 * are only counted.
 *
 * @param {boolean} isEmpty a list that comes after that is not scrolled
 * @returns {[heldAt: number | null, handlers: Record<string, (event: Event) => void>]}
 */
function useHold(isEmpty) {
  const [isPointedAt, setPointedAt] = useState(false);
  const [isScrolled, setScrolled] = useState(false);
  const [heldAt, setHeldAt] = useState(/** @type {number | null} */ (null));
  useEffect(() => setScrolled(false), [isEmpty]);
  useEffect(() => {
    setHeldAt(isPointedAt || isScrolled ? (rows.value[0]?.seq ?? null) : null);
  }, [isPointedAt || isScrolled]);
  return [
    heldAt,
    {
      onPointerEnter: () => setPointedAt(true),
      onPointerLeave: () => setPointedAt(false),
      onScrollCapture: ({ target }) => setScrolled(/** @type {HTMLElement} */ (target).scrollTop > 0),
    },
  ];
}

/** The way to older records, or where these are. */
function Older() {
  return html`
    <p class="audit-older">
      ${hasOlder.value
        ? html`<button type="button" disabled=${isLoadingOlder.value} onClick=${loadOlder}>${t("audit.older")}</button>`
        : html`<span class="soft">${t("audit.files")}</span>`}
    </p>
  `;
}

function problemText() {
  const name = `audit.problems.${problem.value}`;
  const text = t(name);
  return text === name ? t("audit.problems.failed") : text;
}

/** @returns {import("../parts/table.js").Column<Entry>[]} */
function columnsOf() {
  return [
    { name: "time", title: t("audit.time"), cell: Time },
    { name: "who", title: t("audit.who"), cell: Who },
    { name: "what", title: t("audit.what"), cell: What },
    { name: "where", title: t("audit.where"), cell: ({ record }) => serversOf(record) },
    { name: "result", title: t("audit.result"), cell: Came },
    { name: "took", title: t("audit.took"), cell: ({ ms }) => (ms === null ? "" : t("audit.ms", { count: Math.round(ms) })) },
  ];
}

/** @param {Entry} row */
const Time = ({ record: { time } }) => html`
  <time class="person" datetime=${time}>
    <span>${timeOfDay(Date.parse(time))}</span>
    <span class="number">${day(Date.parse(time))}</span>
  </time>
`;

/** @param {Entry} row */
const Who = ({ record: { user, address } }) => html`
  <span class="person">
    <span class="who">${user ?? (address && t("audit.nobody"))}</span>
    <span class="number">${address}</span>
  </span>
`;

/** @param {Entry} row */
const What = ({ record }) => html`
  <span class="person">
    <span class="who">${record["action"] ?? t(`audit.whats.${record.what}`)}</span>
    <span class="number">${record.what === "repeat" ? t("audit.whats.repeat") : summaryOf(record)}</span>
  </span>
`;

/** @param {Entry} row */
const Came = ({ state, group, reason }) => html`
  <span class="person">
    <span>${state in STATES && html`<${Chip} kind=${COLOURS[group] ?? ""} text=${t(`audit.states.${state}`)} />`}</span>
    <span class="number">${reason}</span>
  </span>
`;
