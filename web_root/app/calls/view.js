// The calls that are up now: found as one types, sorted, and each with its story and what can be done.

import { html, useEffect, useMemo, useRef, useState } from "../../vendor/ui.js";
import { mayDo } from "../actions.js";
import { isCurrent, kind, serverNames, useEntities } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Icon } from "../parts/icon.js";
import { Loaded } from "../parts/loaded.js";
import { nameOf, Person } from "../parts/person.js";
import { Since } from "../parts/since.js";
import { Table } from "../parts/table.js";
import { partnerOf } from "../partner.js";
import { goTo, route } from "../route.js";
import { language, t } from "../text.js";
import { ended, noteEnds } from "./ended.js";
import { Filters } from "./filters.js";
import { keyOf, matching, sorted } from "./list.js";
import { useSteady } from "./steady.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

// Loaded when somebody first looks closer or does something: the list is there sooner.
const loadDetail = async () => (await import("./detail.js")).Detail;
const actions = () => import("../callactions.js");

/** The view. */
export function Calls() {
  useEffect(noteEnds, []);
  const calls = useEntities("call");
  const [filter, setFilter] = useState({ search: "", phase: "", server: "" });
  const [order, setOrder] = useState({ column: "since", descending: true });
  const gone = ended.value;
  const before = useRef({ order, all: /** @type {Entity[]} */ ([]) });
  const all = useMemo(() => {
    const wanted = matching(gone.length > 0 ? [...calls, ...gone] : calls, filter);
    const isSame = before.current.order === order;
    before.current = { order, all: sorted(wanted, order, isSame ? before.current.all : []) };
    return before.current.all;
  }, [calls, gone, filter, order]);
  const { rows, hold } = useSteady(all, order);
  const chosen = route.value.params.get("call");
  const mayHangUp = mayDo("Hangup");
  const shown = useMemo(() => columns(mayHangUp), [mayHangUp, language.value]);
  return html`
    <${Filters} calls=${calls} filter=${filter} onFilter=${setFilter}>
      ${mayDo("Originate") &&
      html`<button type="button" onClick=${async () => (await actions()).newCall()}><${Icon} name="calls" />${t("act.new_call")}</button>`}
    <//>
    <div class=${chosen === null ? "calls-split" : "calls-split with-detail"}>
      <div class="calls-list" ...${hold}>
        ${rows.length === 0
          ? html`<${NoCalls} isFiltered=${calls.length > 0} />`
          : html`<${Table} name="calls" label=${t("calls.title")} rows=${rows} keyOf=${keyOf}
              order=${order} onOrder=${(/** @type {string} */ column) => setOrder((before) => turned(before, column))}
              onOpen=${open} columns=${shown}
              classOf=${(/** @type {Entity} */ call) => classOf(call, chosen)} />`}
      </div>
      ${chosen !== null &&
      html`<div class="detail-place">
        <${Loaded} load=${loadDetail} key=${chosen} chosen=${chosen} onClose=${() => goTo("calls")} />
      </div>`}
    </div>
  `;
}

/** @param {{ isFiltered: boolean }} props */
function NoCalls({ isFiltered }) {
  const isLoaded = kind("call").isLoaded.value;
  return html`<p class="empty card">
    ${isLoaded ? t(isFiltered ? "calls.no_match" : "calls.none") : t("app.loading")}
  </p>`;
}

/**
 * @param {import("../parts/table.js").Order} order
 * @param {string} column
 */
const turned = (order, column) => ({
  column,
  descending: order.column === column ? !order.descending : column === "since",
});

/** @param {Entity} call */
const open = (call) => goTo("calls", { call: keyOf(call) }, { replace: route.value.params.has("call") });

/**
 * @param {Entity} call
 * @param {string | null} chosen
 */
function classOf(call, chosen) {
  const classes = [keyOf(call) === chosen ? "chosen" : "", isCurrent(call.server) ? "" : "stale"];
  return [...classes, call["phase"] === "ended" ? "ended" : ""].join(" ");
}

/**
 * @param {boolean} mayHangUp
 * @returns {import("../parts/table.js").Column<Entity>[]}
 */
function columns(mayHangUp) {
  /** @type {import("../parts/table.js").Column<Entity>[]} */
  const shown = [
    { name: "state", title: t("calls.state"), sortable: true, cell: State },
    { name: "caller", title: t("calls.caller"), sortable: true, cell: ({ caller, server }) => html`<${Person} who=${caller} server=${server} />` },
    { name: "called", title: t("calls.called"), sortable: true, cell: Called },
    { name: "where", title: t("calls.where"), cell: placeOf },
    { name: "server", title: t("calls.server"), sortable: true, cell: ({ server }) => serverNames.value.get(server) },
    { name: "since", title: t("calls.duration"), sortable: true, cell: Lasts },
  ];
  return mayHangUp ? [...shown, { name: "do", title: "", cell: HangUp }] : shown;
}

/** @param {Entity} call */
const State = (call) => html`<${Chip} kind=${call["phase"]} text=${t(`phases.${call["phase"]}`)} />`;

/** @param {Entity} call */
const Called = (call) =>
  partnerOf(call) &&
  html`<${Person} who=${partnerOf(call)} server=${call.server} others=${Math.max(0, call["ringing"].length - 1)} />`;

/**
 * Where the call is, beyond its two ends; of one that ended: why.
 *
 * @param {Entity} call
 */
function placeOf({ phase, cause_text, queue, conference, parking, application, trunk }) {
  if (phase === "ended") {
    return cause_text ?? "";
  }
  const place = queue ?? conference ?? (parking && t("calls.slot", { slot: parking }));
  return place ?? (phase === "application" ? application : null) ?? trunk ?? "";
}

/** @param {Entity} call */
const Lasts = ({ created, phase, since }) =>
  phase === "ended" ? html`<${Since} at=${created} until=${since} />` : html`<${Since} at=${created} />`;

/** @param {Entity} call */
function HangUp(call) {
  if (call["phase"] === "ended") {
    return null;
  }
  const label = t("calls.hang_up_of", { who: nameOf(call["caller"]) || t("person.unknown") });
  return html`
    <button type="button" class="bare hang-up" aria-label=${label} title=${t("act.hang_up")}
      onClick=${async (/** @type {Event} */ event) => {
        event.stopPropagation();
        (await actions()).hangUp(call);
      }}>
      <${Icon} name="hang_up" />
    </button>
  `;
}
