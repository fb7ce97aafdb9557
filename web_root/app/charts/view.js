// Calls by server, over the last ten minutes, and by country.

import { html } from "../../vendor/ui.js";
import { useEntities } from "../live.js";
import { t } from "../text.js";
import { Donut } from "./donut.js";
import { History } from "./history.js";
import { World } from "./world.js";

/** The view. */
export function Charts() {
  const calls = useEntities("call");
  return html`
    <div class="charts">
      <section class="card" aria-labelledby="chart-servers">
        <h2 id="chart-servers">${t("charts.servers")}</h2>
        <${Donut} calls=${calls} />
      </section>
      <section class="card" aria-labelledby="chart-history">
        <h2 id="chart-history">${t("charts.history")}</h2>
        <${History} />
      </section>
      <section class="card wide" aria-labelledby="chart-world">
        <h2 id="chart-world">${t("charts.world")}</h2>
        <${World} calls=${calls} />
      </section>
    </div>
  `;
}
