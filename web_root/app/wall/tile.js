// One queue on the wall. Sizes are of the tile (container units), so that it fills any screen.

import { html } from "../../vendor/ui.js";
import { isCurrent, now, serverNames } from "../live.js";
import { nameOf } from "../parts/person.js";
import { count, duration, percent, t } from "../text.js";
import { gravityOf, loudness, markOf } from "../queues/alarms.js";
import { levelOf, longestSince } from "../queues/model.js";

/** @typedef {import("../queues/model.js").Line} Line */
/** @typedef {import("../queues/alarms.js").Alarm} Alarm */
/** @typedef {import("../queues/alarms.js").Limits} Limits */

/**
 * @param {{ line: Line, alarms: Alarm[], limits: Limits, hasServer: boolean, isAlone: boolean,
 *   room: number }} props `room`: for how many who wait
 */
export function Tile({ line, alarms, limits, hasServer, isAlone, room }) {
  const { queue, callers, totals } = line;
  const since = longestSince(line);
  const isStale = !isCurrent(queue.server);
  const level = levelOf(queue, "answered");
  const gravity = gravityOf(alarms);
  const first = callers.slice(0, room);
  const isBare = totals.idle === 0 && callers.length > 0;
  return html`
    <section class=${`wall-tile ${gravity && `in-${gravity}`} ${isStale ? "is-stale" : ""} ${isAlone ? "alone" : ""}`}
      aria-label=${queue.id} data-queue=${queue.id} data-server=${queue.server}>
      <header>
        <h2>${queue.id}${hasServer && html`<small>${serverNames.value.get(queue.server)}</small>`}</h2>
        ${isStale
          ? html`<p class="word">${t("wall.stale")}</p>`
          : gravity && html`<p class="word">${t(`queues.gravity.${gravity}`)}</p>`}
      </header>
      <div class="wall-body">
        <dl>
          <${Figure} name="waiting" class=${`large ${markOf(alarms, "waiting")}`} value=${count(callers.length)} />
          <${Figure} name="longest" class=${`large ${markOf(alarms, "wait")}`}
            value=${since === null ? "–" : duration(now.value - since)} />
          <${Figure} name="idle" class=${isBare ? "is-warning" : ""} value=${count(totals.idle)} />
          <${Figure} name="talking" value=${count(totals.talking)} />
          <${Figure} name="paused" value=${count(totals.paused)} />
          <${Figure} name="level" class=${markOf(alarms, "level")} value=${level === null ? "–" : percent(level).replace(/\s/g, "")} />
          <${Figure} name="abandoned" value=${count(queue["abandoned"])} />
        </dl>
        ${first.length > 0 && html`
          <ol class="wall-callers">${first.map((caller) => html`
            <li key=${caller.id} class=${`loud-${loudness(caller["since"], limits, now.value)}`}>
              <span>${nameOf(caller) || t("person.unknown")}</span>
              <b>${duration(now.value - caller["since"])}</b>
            </li>`)}</ol>`}
      </div>
    </section>
  `;
}

/** @param {{ name: string, value: string, class?: string }} props */
function Figure({ name, value, class: more = "" }) {
  return html`
    <div class=${`wall-figure ${more}`} data-figure=${name}>
      <dt>${t(`wall.figure.${name}`)}</dt>
      <dd class=${value.length > (name === "waiting" ? 2 : 5) ? "long" : ""}>
        ${value.replace("%", "")}${value.endsWith("%") && html`<small>%</small>`}</dd>
    </div>
  `;
}
