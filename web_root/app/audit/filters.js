// What narrows the records: words, what came of it, a kind.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";
import { COLOURS, GROUPS, KINDS, matching } from "./records.js";

/** @typedef {import("./records.js").Entry} Entry */
/** @typedef {import("./records.js").Filter} Filter */

/** @param {{ rows: Entry[], filter: Filter, onFilter: (filter: Filter) => void }} props */
export function Filters({ rows, filter, onFilter }) {
  const others = matching(rows, { ...filter, group: "" });
  return html`
    <div class="bar">
      <h2>${t("audit.title")}</h2>
      <div class="tally" role="group" aria-label=${t("audit.by_result")}>
        <strong>${t("audit.count", { count: others.length })}</strong>
        ${GROUPS.map((group) => {
          const number = others.filter((row) => row.group === group).length;
          return html`
            <button type="button" key=${group} class="chip" data-kind=${COLOURS[group]}
              aria-pressed=${filter.group === group ? "true" : "false"}
              onClick=${() => onFilter({ ...filter, group: filter.group === group ? "" : group })}>
              ${number} ${t(`audit.groups.${group}`)}
            </button>
          `;
        })}
      </div>
      <select aria-label=${t("audit.kind")} onChange=${(/** @type {Event} */ event) => onFilter({ ...filter, kind: valueOf(event) })}>
        ${["", ...Object.keys(KINDS)].map(
          (kind) => html`<option key=${kind} value=${kind} selected=${kind === filter.kind}>${t(`audit.kinds.${kind || "all"}`)}</option>`,
        )}
      </select>
      <input type="search" aria-label=${t("audit.search")} placeholder=${t("audit.search")} value=${filter.search}
        onInput=${(/** @type {InputEvent} */ event) => onFilter({ ...filter, search: valueOf(event) })} />
    </div>
  `;
}

/** @param {Event} event */
const valueOf = (event) => /** @type {HTMLInputElement | HTMLSelectElement} */ (event.currentTarget).value;
