// Extensions and phones, as tiles in the colour of their state.

import { html, useMemo, useState } from "../../vendor/ui.js";
import { isCurrent, kind, serverNames, servers, useEntities } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Icon } from "../parts/icon.js";
import { nameOf } from "../parts/person.js";
import { Since } from "../parts/since.js";
import { count, t } from "../text.js";
import { phonesOf } from "./phones.js";

/** @typedef {import("./phones.js").Phone} Phone */

const STATES = ["ringing", "ringing_in_use", "in_use", "busy", "on_hold", "idle", "unavailable", "invalid", "unknown"];

/** The view. */
export function Phones() {
  const phones = usePhones();
  const [search, setSearch] = useState("");
  const [state, setState] = useState("");
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = phones.filter(
    (phone) =>
      (state === "" || phone.state === state) &&
      words.every((word) => `${phone.number} ${phone.name}`.toLowerCase().includes(word)),
  );
  const isLoaded = kind("hint").isLoaded.value && kind("peer").isLoaded.value;
  return html`
    <div class="bar">
      <h2>${t("phones.title")}</h2>
      <${States} phones=${phones} state=${state} onState=${setState} />
      <input type="search" aria-label=${t("phones.search")} placeholder=${t("phones.search")} value=${search}
        onInput=${(/** @type {InputEvent} */ event) => setSearch(/** @type {HTMLInputElement} */ (event.currentTarget).value)} />
    </div>
    ${shown.length === 0 &&
    html`<p class="empty card">${t(!isLoaded ? "app.loading" : phones.length > 0 ? "phones.no_match" : "phones.none")}</p>`}
    <ul class="tiles">
      ${shown.map((phone) => html`<${Tile} key=${phone.key} phone=${phone} />`)}
    </ul>
  `;
}

/** @returns {Phone[]} */
function usePhones() {
  const known = {
    hint: useEntities("hint"),
    endpoint: useEntities("endpoint"),
    peer: useEntities("peer"),
    mailbox: useEntities("mailbox"),
    do_not_disturb: useEntities("do_not_disturb"),
    queue_member: useEntities("queue_member"),
    call: useEntities("call"),
  };
  return useMemo(() => phonesOf(known), Object.values(known));
}

/** How many are in each state; a press shows these alone. @param {any} props */
function States({ phones, state, onState }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const phone of phones) {
    counts.set(phone.state, (counts.get(phone.state) ?? 0) + 1);
  }
  return html`
    <div class="tally" role="group" aria-label=${t("phones.by_state")}>
      ${STATES.filter((one) => counts.has(one) || one === state).map(
        (one) => html`
          <button type="button" key=${one} class="chip" data-kind=${one} aria-pressed=${one === state ? "true" : "false"}
            onClick=${() => onState(one === state ? "" : one)}>
            ${count(counts.get(one) ?? 0)} ${t(`states.${one}`)}
          </button>
        `,
      )}
    </div>
  `;
}

/** @param {{ phone: Phone }} props */
function Tile({ phone }) {
  const { server, number, name, state, since, isQuiet, presence, messages, device } = phone;
  return html`
    <li class=${isCurrent(server) ? "tile" : "tile stale"} data-kind=${state}>
      <header>
        <strong>${number}</strong>
        ${isQuiet && html`<${Chip} kind="bad" text=${t("phones.quiet")} />`}
        ${messages > 0 &&
        html`<span class="messages" title=${t("phones.messages", { count: messages })}>
          <${Icon} name="mail" /><span class="visually-hidden">${t("phones.messages", { count: messages })}</span>
          <span aria-hidden="true">${messages}</span>
        </span>`}
      </header>
      <p class="who">${name || presence || "–"}</p>
      <p><${Chip} kind=${state} text=${t(`states.${state}`)} /> <${Since} at=${since} /></p>
      <${Partner} phone=${phone} />
      ${servers.value.length > 1 && html`<p class="soft">${serverNames.value.get(server)}</p>`}
      ${device && html`<p class="soft">${linkOf(device)}</p>`}
    </li>
  `;
}

/** Whom somebody talks with, or who rings. @param {{ phone: Phone }} props */
function Partner({ phone: { call, number } }) {
  if (call === null) {
    return null;
  }
  const { caller, callee, called, queue } = call;
  const other = caller?.number === number ? (callee ?? (called?.channel === caller.channel ? null : called)) : caller;
  const name = nameOf(other) || queue;
  return name && html`<p class="partner">${name}</p>`;
}

/**
 * How the device is connected.
 *
 * @param {import("../../lib/amiws.js").Entity} device
 */
function linkOf(device) {
  const { status, reachable, latency, technology } = device;
  const how = status ?? reachable;
  const delay = latency === null || latency === undefined ? "" : `${count(latency)} ms`;
  return [technology ?? "PJSIP", how && t(`links.${how}`), delay].filter(Boolean).join(" · ");
}
