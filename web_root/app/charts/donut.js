// The share of each server in the calls, as a ring with the total in it.

import { arc, pie } from "../../vendor/shape.js";
import { html } from "../../vendor/ui.js";
import { servers } from "../live.js";
import { count, percent, t } from "../text.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {{ name: string, calls: number }} Slice */

const MOST_SLICES = 6; // more could not be told apart by colour
const shapeOf = arc().innerRadius(62).outerRadius(96).cornerRadius(2);
const angles = pie().sort(null).padAngle(0.015);

/** @param {{ calls: Entity[] }} props */
export function Donut({ calls }) {
  const slices = slicesOf(calls);
  const drawn = angles(slices.map((slice) => slice.calls));
  return html`
    <div class="donut">
      <svg viewBox="-100 -100 200 200" role="img" aria-label=${t("app.calls", { count: calls.length })}>
        ${calls.length === 0 && html`<circle r="79" class="ring" />`}
        ${drawn.map(
          (angle, index) => html`<path key=${index} class=${`slice-${index}`} d=${shapeOf(/** @type {any} */ (angle))} />`,
        )}
        <text class="total" y="8">${count(calls.length)}</text>
        <text class="unit" y="32">${t("servers.calls", { count: calls.length })}</text>
      </svg>
      <ul class="legend">
        ${slices.map(
          ({ name, calls: some }, index) => html`
            <li key=${name}>
              <span class=${`dot slice-${index}`} aria-hidden="true"></span>
              <span class="name">${name}</span>
              <strong>${count(some)}</strong>
              <span class="soft">${calls.length > 0 && percent(some / calls.length)}</span>
            </li>
          `,
        )}
      </ul>
    </div>
  `;
}

/**
 * The servers with the most calls, and all others as one.
 *
 * @param {Entity[]} calls
 * @returns {Slice[]}
 */
function slicesOf(calls) {
  const counts = new Map(servers.value.map(({ id, name }) => [Number(id), { name: String(name), calls: 0 }]));
  for (const { server } of calls) {
    const slice = counts.get(server);
    if (slice !== undefined) {
      slice.calls += 1;
    }
  }
  const all = [...counts.values()];
  if (all.length <= MOST_SLICES) {
    return all;
  }
  all.sort((one, other) => other.calls - one.calls);
  const rest = all.splice(MOST_SLICES - 1);
  const callsOfRest = rest.reduce((sum, slice) => sum + slice.calls, 0);
  return [...all, { name: t("charts.others", { count: rest.length }), calls: callsOfRest }];
}
