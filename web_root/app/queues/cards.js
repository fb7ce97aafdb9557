// All queues as cards with what matters at a glance; each is a link to the queue in detail.

import { html } from "../../vendor/ui.js";
import { isCurrent, now, serverNames, servers } from "../live.js";
import { Icon } from "../parts/icon.js";
import { nameOf } from "../parts/person.js";
import { addressOf } from "../route.js";
import { count, duration, percent, t } from "../text.js";
import { alarmsOf, gravityOf, limitsOf, loudness, markOf } from "./alarms.js";
import { levelOf, longestSince } from "./model.js";

/** @typedef {import("./model.js").Line} Line */

/**
 * The lines that have all words of `search` in the names of queue and server.
 *
 * @param {Line[]} all
 * @param {string} search
 */
export function matching(all, search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const textOf = (/** @type {Line} */ { queue }) =>
    `${queue.id}\n${serverNames.value.get(queue.server) ?? ""}`.toLowerCase();
  return all.filter((line) => words.every((word) => textOf(line).includes(word)));
}

const GRAVITIES = ["", "notice", "alarm"];

/**
 * Those in alarm first, then those where somebody waits, then the others; among equals as they were.
 *
 * @param {Line[]} all
 */
export function loudestFirst(all) {
  const rank = (/** @type {Line} */ line) =>
    4 * GRAVITIES.indexOf(gravityOf(alarmsOf(line, limitsOf(line.key), now.value))) +
    (line.callers.length > 0 ? 1 : 0);
  const ranks = new Map(all.map((line) => [line, rank(line)]));
  return [...all].sort((one, other) => (ranks.get(other) ?? 0) - (ranks.get(one) ?? 0));
}

/**
 * @param {{ all: Line[], chosen: Line | undefined, callers: number }} props `callers`: how many of
 *   those who wait a card names
 */
export function Cards({ all, chosen, callers }) {
  return html`
    <ul class=${callers > 0 ? "queue-cards roomy" : "queue-cards"}>
      ${all.map((line) => html`<li key=${line.key}>
        <${Card} line=${line} isChosen=${line === chosen} shown=${callers} /></li>`)}
    </ul>
  `;
}

/** @param {{ line: Line, isChosen: boolean, shown: number }} props */
function Card({ line, isChosen, shown }) {
  const { queue, totals, callers, key } = line;
  const limits = limitsOf(key);
  const alarms = alarmsOf(line, limits, now.value);
  const since = longestSince(line);
  const level = levelOf(queue, "answered");
  const gravity = gravityOf(alarms);
  return html`
    <a class=${`card queue-card ${isCurrent(queue.server) ? "" : "stale"} ${gravity && `in-${gravity}`}`}
      href=${addressOf("queues", { server: String(queue.server), queue: queue.id })}
      aria-current=${isChosen ? "true" : undefined}>
      <span class="queue-names">
        <strong title=${queue.id}>${queue.id}</strong>
        ${servers.value.length > 1 && html`<small>${serverNames.value.get(queue.server)}</small>`}
      </span>
      ${gravity && html`<span class="alarm-word"><${Icon} name="alert" />${t(`queues.gravity.${gravity}`)}</span>`}
      <span class="key-figures">
        <${Figure} class=${`${markOf(alarms, "waiting")} large`} label=${t("queues.waiting")} value=${count(callers.length)} />
        <${Figure} class=${markOf(alarms, "wait")} label=${t("queues.longest_short")}
          value=${since === null ? "–" : duration(now.value - since)} />
        <${Figure} class=${totals.idle === 0 && callers.length > 0 ? "is-warning" : ""}
          label=${t("queues.idle_of", { count: totals.loggedIn })} value=${count(totals.idle)} />
        <${Figure} class=${markOf(alarms, "level")} label=${t("queues.level_short")}
          value=${level === null ? "–" : percent(level)} />
      </span>
      ${callers.slice(0, shown).map((caller) => html`
        <span key=${caller.id} class=${`card-caller loud-${loudness(caller["since"], limits, now.value)}`}>
          <span>${nameOf(caller) || t("person.unknown")}</span> <b>${duration(now.value - caller["since"])}</b>
        </span>`)}
    </a>
  `;
}

/** @param {{ label: string, value: string, class?: string }} props */
function Figure({ label, value, class: name = "" }) {
  return html`<span class=${`queue-figure ${name}`}><span class="label">${label}</span> <b>${value}</b></span>`;
}
