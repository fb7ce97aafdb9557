// Trunks: the peers and endpoints that are no phones, and the registrations with carriers.

import { html, useMemo, useState } from "../../vendor/ui.js";
import { isCurrent, kind, serverNames, useEntities } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Since } from "../parts/since.js";
import { Table } from "../parts/table.js";
import { compare, count, t } from "../text.js";
import { isPhone, stateOf } from "./phones.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {{ key: string, server: number, name: string, technology: string, state: string, isBad: boolean,
 *   detail: string, calls: number, latency: number | null, since: number | null }} Line */

const GOOD = ["reachable", "registered", "unmonitored", "idle", "in_use", "busy", "lagged", "ringing", "on_hold", "ringing_in_use"];

/** The view. */
export function Trunks() {
  const lines = useLines();
  const registrations = useEntities("registration").map(ofRegistration).sort(byName);
  const [order, setOrder] = useState({ column: "name", descending: false });
  const isLoaded = kind("registration").isLoaded.value;
  const rows = useMemo(() => sorted([...lines, ...registrations], order), [lines, registrations, order]);
  const bad = rows.filter(({ isBad }) => isBad).length;
  return html`
    <div class="bar">
      <h2>${t("trunks.title")}</h2>
      <p class="tally">
        ${t("trunks.count", { count: rows.length })}
        ${bad > 0 && html`<${Chip} kind="bad" text=${t("trunks.bad", { count: bad })} />`}
      </p>
    </div>
    ${rows.length === 0
      ? html`<p class="empty card">${t(isLoaded ? "trunks.none" : "app.loading")}</p>`
      : html`<${Table} name="trunks" label=${t("trunks.title")} rows=${rows} columns=${columns()} order=${order}
          keyOf=${(/** @type {Line} */ { key }) => key}
          classOf=${(/** @type {Line} */ { server }) => (isCurrent(server) ? "" : "stale")}
          onOrder=${(/** @type {string} */ column) =>
            setOrder((before) => ({ column, descending: before.column === column && !before.descending }))} />`}
  `;
}

/** @returns {Line[]} */
function useLines() {
  const [peers, endpoints] = [useEntities("peer"), useEntities("endpoint")];
  const [contacts, calls] = [useEntities("contact"), useEntities("call")];
  return useMemo(() => {
    /** @type {Map<string, number>} */
    const used = new Map();
    for (const { server, trunk } of calls) {
      used.set(`${server} ${trunk}`, (used.get(`${server} ${trunk}`) ?? 0) + 1);
    }
    return [...peers, ...endpoints]
      .filter((device) => !isPhone(device))
      .map((device) => ofDevice(device, contacts, used.get(`${device.server} ${device["name"]}`) ?? 0));
  }, [peers, endpoints, contacts, calls]);
}

/**
 * @param {Entity} device
 * @param {Entity[]} contacts
 * @param {number} calls
 * @returns {Line}
 */
function ofDevice(device, contacts, calls) {
  const { server, kind: what, id, name, technology, status, address, since } = device;
  const contact = contacts.find((one) => one.server === server && one["endpoint"] === name);
  const state = status ?? (contact?.["status"] === "unreachable" ? "unreachable" : stateOf(device));
  const delay = device["latency"] ?? (contact?.["latency_us"] ? contact["latency_us"] / 1000 : null);
  return {
    key: `${server} ${what} ${id}`,
    server,
    name,
    technology: technology ?? "PJSIP",
    state,
    isBad: !GOOD.includes(state),
    detail: address || contact?.["uri"] || device["cause"] || "",
    calls,
    latency: delay,
    since,
  };
}

/**
 * @param {Entity} registration
 * @returns {Line}
 */
function ofRegistration({ server, kind: what, id, name, technology, username, domain, status, cause, since }) {
  return {
    key: `${server} ${what} ${id}`,
    server,
    name: name || username,
    technology: t("trunks.registration", { technology }),
    state: status,
    isBad: status !== "registered",
    detail: [domain, cause].filter(Boolean).join(" · "),
    calls: 0,
    latency: null,
    since,
  };
}

/**
 * @param {Line} one
 * @param {Line} other
 */
const byName = (one, other) => compare(one.name, other.name);

/** @type {Record<string, (one: Line, other: Line) => number>} */
const ORDERS = {
  name: byName,
  state: (one, other) => Number(other.isBad) - Number(one.isBad) || compare(one.state, other.state),
  calls: (one, other) => one.calls - other.calls,
  server: (one, other) => one.server - other.server,
};

/**
 * @param {Line[]} lines
 * @param {import("../parts/table.js").Order} order
 */
function sorted(lines, { column, descending }) {
  const by = ORDERS[column] ?? byName;
  return [...lines].sort((one, other) => (descending ? -1 : 1) * by(one, other) || byName(one, other));
}

/** @returns {import("../parts/table.js").Column<Line>[]} */
function columns() {
  return [
    { name: "state", title: t("trunks.state"), sortable: true, cell: ({ state, isBad }) => html`<${Chip} kind=${isBad ? "bad" : "good"} text=${stateText(state)} />` },
    { name: "name", title: t("trunks.name"), sortable: true, cell: ({ name }) => html`<strong>${name}</strong>` },
    { name: "technology", title: t("trunks.technology"), cell: ({ technology }) => technology },
    { name: "calls", title: t("trunks.calls"), sortable: true, cell: ({ calls }) => (calls > 0 ? count(calls) : "") },
    { name: "delay", title: t("trunks.delay"), cell: ({ latency }) => (latency === null ? "" : `${count(Math.round(latency))} ms`) },
    { name: "address", title: t("trunks.detail"), cell: ({ detail }) => detail },
    { name: "server", title: t("trunks.server"), sortable: true, cell: ({ server }) => serverNames.value.get(server) },
    { name: "since", title: t("trunks.since"), cell: ({ since }) => html`<${Since} at=${since} />` },
  ];
}

/** @param {string} state of a device, or of a registration or peer */
function stateText(state) {
  const name = `links.${state}`;
  const text = t(name);
  return text === name ? t(`states.${state}`) : text;
}
