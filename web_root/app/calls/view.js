// The calls that are up now.

import { html, useMemo, useState } from "../../vendor/ui.js";
import { isCurrent, kind, serverNames, useEntities } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Person } from "../parts/person.js";
import { Since } from "../parts/since.js";
import { Table } from "../parts/table.js";
import { t } from "../text.js";
import { matching, partnerOf, sorted } from "./list.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/** The view. */
export function Calls() {
  const calls = useEntities("call");
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState({ column: "since", descending: true });
  const rows = useMemo(() => sorted(matching(calls, search), order), [calls, search, order]);
  const isLoaded = kind("call").isLoaded.value;
  return html`
    <div class="bar">
      <h2>${t("calls.title")}</h2>
      <p class="tally">${isLoaded && t("calls.count", { count: calls.length })}</p>
      <input type="search" aria-label=${t("calls.search")} placeholder=${t("calls.search")} value=${search}
        onInput=${(/** @type {InputEvent} */ event) =>
          setSearch(/** @type {HTMLInputElement} */ (event.currentTarget).value)} />
    </div>
    ${rows.length === 0
      ? html`<p class="empty">${!isLoaded ? t("app.loading") : t(search ? "calls.no_match" : "calls.none")}</p>`
      : html`<${Table} name="calls" label=${t("calls.title")} rows=${rows} order=${order}
          keyOf=${(/** @type {Entity} */ call) => `${call.server} ${call.id}`}
          classOf=${(/** @type {Entity} */ call) => (isCurrent(call.server) ? "" : "stale")}
          onOrder=${(/** @type {string} */ column) =>
            setOrder({ column, descending: order.column === column && !order.descending })}
          columns=${columns()} />`}
  `;
}

/** @returns {import("../parts/table.js").Column<Entity>[]} */
function columns() {
  return [
    { name: "state", title: t("calls.state"), sortable: true, cell: State },
    { name: "caller", title: t("calls.caller"), sortable: true, cell: ({ caller }) => html`<${Person} who=${caller} />` },
    { name: "called", title: t("calls.called"), sortable: true, cell: Called },
    { name: "server", title: t("calls.server"), sortable: true, cell: ({ server }) => serverNames.value.get(server) },
    { name: "since", title: t("calls.duration"), sortable: true, cell: ({ created }) => html`<${Since} at=${created} />` },
  ];
}

/** @param {Entity} call */
const State = (call) => html`<${Chip} kind=${call["phase"]} text=${t(`phases.${call["phase"]}`)} />`;

/** @param {Entity} call */
const Called = (call) =>
  html`<${Person} who=${partnerOf(call)} others=${Math.max(0, call["ringing"].length - 1)} />`;
