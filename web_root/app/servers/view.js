// The servers: a card for each that is there, one quiet line for each that is not.

import { html, useMemo } from "../../vendor/ui.js";
import { kind, servers, useEntities } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Icon } from "../parts/icon.js";
import { count, dayAndTime, percent, t, timeOfDay } from "../text.js";
import { Missing } from "./missing.js";
import { Quality } from "./quality.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/** The view. */
export function Servers() {
  const calls = useEntities("call");
  const counts = useMemo(() => countsOf(calls), [calls]);
  const known = servers.value;
  const away = known.filter(isAway);
  const here = known.filter((server) => !isAway(server));
  return html`
    <div class="bar">
      <h2>${t("servers.title")}</h2>
      <p class="tally">${t("servers.count", { count: here.length, all: known.length })}</p>
    </div>
    ${known.length === 0 && html`<p class="empty card">${t(kind("server").isLoaded.value ? "servers.none" : "app.loading")}</p>`}
    ${away.length > 0 &&
    html`<ul class="away card">${away.map((server) => html`<${Away} key=${server.id} server=${server} />`)}</ul>`}
    <ul class="server-cards">
      ${here.map(
        (server) => html`
          <${Card} key=${server.id} server=${server} calls=${counts.get(Number(server.id)) ?? 0} all=${calls.length} />
        `,
      )}
    </ul>
  `;
}

/** @param {Entity[]} calls */
function countsOf(calls) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const { server } of calls) {
    counts.set(server, (counts.get(server) ?? 0) + 1);
  }
  return counts;
}

/** @param {Entity} server */
const isAway = (server) => server["connection"] !== "connected";

/** @param {{ server: Entity }} props */
function Away({ server }) {
  const since = server["connection_since"];
  return html`
    <li>
      <${Icon} name="alert" />
      <strong>${server["name"]}</strong>
      <span>${server["connection_reason"] ?? t(`connections.${server["connection"]}`)}</span>
      ${since && html`<small>${t("servers.since", { time: dayAndTime(since) })}</small>`}
    </li>
  `;
}

/** @param {{ server: Entity, calls: number, all: number }} props */
function Card({ server, calls, all }) {
  const { id, name, ssl, version, product, sync, sync_reason: reason } = server;
  return html`
    <li class="card server-card" aria-labelledby=${`server-${id}`}>
      <header>
        <h3 id=${`server-${id}`}>
          ${name}
          ${ssl && html`<span class="lock" title=${t("servers.encrypted")}><${Icon} name="lock" /><span class="visually-hidden">${t("servers.encrypted")}</span></span>`}
        </h3>
        <p class="soft">${[product, version].filter(Boolean).join(" ")}</p>
        ${sync !== "live" && html`<p><${Chip} kind="warning" text=${t(`syncs.${sync}`)} /> ${reason ?? ""}</p>`}
        ${server["shutting_down"] && html`<p><${Chip} kind="bad" text=${t(`servers.${server["shutting_down"]}`)} /></p>`}
      </header>
      <p class="figure">
        <strong>${count(calls)}</strong>
        <span>${t("servers.calls", { count: calls })}${all > 0 && ` · ${percent(calls / all)}`}</span>
      </p>
      <${Minutes} counts=${server["calls_by_minute"]} />
      <dl class="facts">
        <${Time} name="started" at=${server["started"]} text=${server["started_local"]} />
        <${Time} name="reloaded" at=${server["reloaded"]} text=${server["reloaded_local"]} />
        <${Time} name="last_event" at=${server["last_event"]} format=${timeOfDay} />
      </dl>
      <${Quality} incoming=${server["rtp_incoming"]} outgoing=${server["rtp_outgoing"]} />
      <${Missing} missing=${server["missing"]} />
    </li>
  `;
}

/**
 * A time, or what the server wrote by its own clock where it does not tell more.
 *
 * @param {{ name: string, at: number | null, text?: string | null, format?: (at: number) => string }} props
 */
function Time({ name, at, text, format = dayAndTime }) {
  // Old Asterisk tells a date and a time of its own zone, which nobody knows: they are written as one
  // of the viewer's, so that the figures stay.
  const local = text ? Date.parse(text.replace(" ", "T")) : NaN;
  const shown = at ? format(at) : Number.isNaN(local) ? text : format(local);
  return html`<div><dt>${t(`servers.${name}`)}</dt><dd>${shown || "–"}</dd></div>`;
}

/** Calls that began in each of the last ten minutes. @param {{ counts: number[] | null }} props */
function Minutes({ counts }) {
  if (!counts) {
    return null;
  }
  const most = Math.max(1, ...counts);
  const sum = counts.reduce((all, one) => all + one, 0);
  const width = 100 / counts.length;
  return html`
    <svg class="minutes" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=${t("servers.began", { count: sum })}>
      ${[...counts].reverse().map((one, index) => {
        const height = (22 * one) / most + 1;
        return html`<rect key=${index} x=${index * width + 0.5} y=${24 - height} width=${width - 1} height=${height} />`;
      })}
    </svg>
    <p class="soft">${t("servers.began", { count: sum })}</p>
  `;
}
