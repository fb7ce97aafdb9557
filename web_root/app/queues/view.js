// Queues: who waits, who serves them. All as cards, and one in detail beside or in place of them.

import { html, useState } from "../../vendor/ui.js";
import { kind, serverNames } from "../live.js";
import { Icon } from "../parts/icon.js";
import { addressOf, route } from "../route.js";
import { setting } from "../settings.js";
import { t } from "../text.js";
import { Bells } from "./bells.js";
import { Cards, loudestFirst, matching } from "./cards.js";
import { save } from "./csv.js";
import { Detail } from "./detail.js";
import { useLines } from "./model.js";
import { queueRows } from "./tables.js";

/** @typedef {import("./model.js").Line} Line */

const isLoudestFirst = setting("queues_loudest_first", false);

const FEW_QUEUES = 8; // so few have room on their cards for some who wait
const CALLERS_NAMED = 4;

/** The view. */
export function Queues() {
  const all = useLines();
  const { params } = route.value;
  const named = params.get("queue");
  const found = all.find(
    ({ queue }) => queue.id === named && String(queue.server) === params.get("server"),
  );
  const chosen = found ?? (all.length === 1 ? all[0] : undefined);
  if (all.length === 0) {
    return html`
      <h2>${t("views.queues")}</h2>
      <p class="empty card">${t(kind("queue").isLoaded.value ? "queues.none" : "app.loading")}</p>`;
  }
  return html`
    <div class=${`queues ${chosen ? "has-chosen" : ""} ${all.length === 1 ? "has-one" : ""}`}>
      <${List} all=${all} chosen=${chosen} />
      ${named !== null && found === undefined && kind("queue").isLoaded.value &&
      html`<p class="empty card">${t("queues.gone", { queue: named })}</p>`}
      ${chosen && html`
        <div class="queue-detail">
          ${all.length > 1 && html`
            <p class="queue-back"><a class="button quiet" href=${addressOf("queues")}>
              <${Icon} name="back" />${t("queues.all")}</a></p>`}
          <${Detail} key=${chosen.key} line=${chosen} />
        </div>`}
    </div>
  `;
}

/** @param {{ all: Line[], chosen: Line | undefined }} props */
function List({ all, chosen }) {
  const [search, setSearch] = useState("");
  const found = matching(all, search);
  const shown = isLoudestFirst.value ? loudestFirst(found) : found;
  return html`
    <section class="queue-list" aria-labelledby="queue-list">
      <div class="bar">
        <h2 id="queue-list">${t("views.queues")}</h2>
        <p class="tally">${t("queues.count", { count: all.length })}</p>
        <input type="search" aria-label=${t("queues.search")} placeholder=${t("queues.search")} value=${search}
          onInput=${(/** @type {any} */ event) => setSearch(event.currentTarget.value)} />
        <div class="tools">
          <select aria-label=${t("queues.order")} onChange=${(/** @type {any} */ event) =>
            (isLoudestFirst.value = event.currentTarget.value === "loud")}>
            <option value="name" selected=${!isLoudestFirst.value}>${t("queues.by_name")}</option>
            <option value="loud" selected=${isLoudestFirst.value}>${t("queues.loudest_first")}</option>
          </select>
          <${Bells} />
          <button type="button" class="quiet" title=${t("queues.export")} aria-label=${t("queues.export")}
            onClick=${() => save("queues", queueRows(found, serverNames.value))}>
            <${Icon} name="download" />
          </button>
        </div>
      </div>
      ${shown.length === 0
        ? html`<p class="empty card">${t("queues.no_match")}</p>`
        : html`<${Cards} all=${shown} chosen=${chosen}
            callers=${chosen === undefined && all.length <= FEW_QUEUES ? CALLERS_NAMED : 0} />`}
    </section>
  `;
}
