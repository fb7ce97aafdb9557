// The quality of the audio of a server, as RTCP reports tell it.

import { html } from "../../vendor/ui.js";
import { decimal, t } from "../text.js";

/** @typedef {Record<string, number | null>} Figures of docs/state-kinds.md: `rtp_incoming`, `rtp_outgoing` */

const ROWS = /** @type {const} */ (["lost_percent", "worst_lost_percent", "jitter_ms", "round_trip_ms"]);

/** @param {{ incoming: Figures | null, outgoing: Figures | null }} props */
export function Quality({ incoming, outgoing }) {
  if (!incoming?.["reports"] && !outgoing?.["reports"]) {
    return html`<p class="soft">${t("quality.none")}</p>`;
  }
  return html`
    <table class="quality">
      <caption class="visually-hidden">${t("quality.title")}</caption>
      <thead>
        <tr>
          <th scope="col">${t("quality.title")}</th>
          <th scope="col">${t("quality.incoming")}</th>
          <th scope="col">${t("quality.outgoing")}</th>
        </tr>
      </thead>
      <tbody>
        ${ROWS.map(
          (name) => html`
            <tr key=${name}>
              <th scope="row">${t(`quality.${name}`)}</th>
              <${Value} name=${name} value=${incoming?.[name]} />
              <${Value} name=${name} value=${outgoing?.[name]} />
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}

/** Above these people hear it: the usual limits for speech (ITU-T G.114 for delay). */
const BAD = { lost_percent: 1, worst_lost_percent: 5, jitter_ms: 30, round_trip_ms: 300 };

/** @param {{ name: keyof typeof BAD, value: number | null | undefined }} props */
function Value({ name, value }) {
  if (value === null || value === undefined) {
    return html`<td>–</td>`;
  }
  const unit = name.endsWith("_percent") ? "%" : "ms";
  const isBad = value > BAD[name];
  return html`<td class=${isBad ? "is-bad" : ""}>
    ${decimal(value)} ${unit}${isBad && html`<span class="visually-hidden"> ${t("quality.bad")}</span>`}
  </td>`;
}
