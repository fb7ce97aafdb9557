// What narrows the list of calls: words, a state, a server.

import { html } from "../../vendor/ui.js";
import { kind, servers } from "../live.js";
import { t } from "../text.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {import("./list.js").Filter} Filter */

const PHASES = ["ringing", "dialling", "queued", "talking", "held", "parked", "conference", "application"];

/**
 * @param {{ calls: Entity[], filter: Filter, onFilter: (filter: Filter) => void, children?: any }} props
 */
export function Filters({ calls, filter, onFilter, children }) {
  return html`
    <div class="bar">
      <h2>${t("calls.title")}</h2>
      <${Phases} ...${{ calls, filter, onFilter }} />
      ${servers.value.length > 1 && html`<${ServerChoice} ...${{ filter, onFilter }} />`}
      <input type="search" aria-label=${t("calls.search")} placeholder=${t("calls.search")}
        value=${filter.search}
        onInput=${(/** @type {InputEvent} */ event) => onFilter({ ...filter, search: valueOf(event) })} />
      ${children}
    </div>
  `;
}

/** How many calls are in each state; a press shows these alone. @param {any} props */
function Phases({ calls, filter, onFilter }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { phase } of calls) {
    counts.set(phase, (counts.get(phase) ?? 0) + 1);
  }
  const shown = PHASES.filter((phase) => counts.has(phase) || phase === filter.phase);
  return html`
    <div class="tally" role="group" aria-label=${t("calls.by_state")}>
      <strong>${kind("call").isLoaded.value && t("calls.count", { count: calls.length })}</strong>
      ${shown.map(
        (phase) => html`
          <button type="button" key=${phase} class="chip" data-kind=${phase}
            aria-pressed=${filter.phase === phase ? "true" : "false"}
            onClick=${() => onFilter({ ...filter, phase: filter.phase === phase ? "" : phase })}>
            ${counts.get(phase) ?? 0} ${t(`phases.${phase}`)}
          </button>
        `,
      )}
    </div>
  `;
}

/** @param {any} props */
function ServerChoice({ filter, onFilter }) {
  return html`
    <select aria-label=${t("calls.server")}
      onChange=${(/** @type {Event} */ event) => onFilter({ ...filter, server: valueOf(event) })}>
      <option value="">${t("calls.all_servers")}</option>
      ${servers.value.map(
        ({ id, name }) =>
          html`<option key=${id} value=${id} selected=${id === filter.server}>${name}</option>`,
      )}
    </select>
  `;
}

/** @param {Event} event */
const valueOf = (event) => /** @type {HTMLInputElement | HTMLSelectElement} */ (event.currentTarget).value;
