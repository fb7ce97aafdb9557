// The countries that calls come from and go to, on a map and as a list.

import { countryOfNumber, feature, geoNaturalEarth1, geoPath, worldUrl } from "../../vendor/map.js";
import { html, useEffect, useMemo, useState } from "../../vendor/ui.js";
import { placeOf } from "../numbers.js";
import { Flag } from "../parts/person.js";
import { setting } from "../settings.js";
import { count, countryName, t } from "../text.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {{ letters: string, path: string }} Country */

const [WIDTH, HEIGHT] = [960, 470];
const MOST_LISTED = 12;

/** Whose countries are counted: of those who are called, or of those who call. */
const side = setting("map_side", "called");

/** @param {{ calls: Entity[] }} props */
export function World({ calls }) {
  const countries = useCountries();
  const counts = countsOf(calls, side.value);
  const most = Math.max(1, ...counts.values());
  return html`
    <${Side} />
    <div class="world">
      <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
        ${countries.map(({ letters, path }, index) => {
          const some = counts.get(letters) ?? 0;
          const depth = some === 0 ? 0 : Math.ceil((4 * some) / most);
          return html`<path key=${index} d=${path} class=${`depth-${depth}`}>
            <title>${countryName(letters)}: ${some}</title>
          </path>`;
        })}
      </svg>
      <ol class="legend">
        ${[...counts]
          .sort(([, one], [, other]) => other - one)
          .slice(0, MOST_LISTED)
          .map(
            ([letters, some]) => html`
              <li key=${letters}>
                <${Flag} country=${letters} />
                <span class="name">${countryName(letters)}</span>
                <strong>${count(some)}</strong>
              </li>
            `,
          )}
        ${counts.size === 0 && html`<li class="soft">${t("charts.no_countries")}</li>`}
      </ol>
    </div>
  `;
}

function Side() {
  return html`
    <div class="bar" role="group" aria-label=${t("charts.side")}>
      ${["called", "caller"].map(
        (one) => html`
          <button type="button" key=${one} class="chip" aria-pressed=${side.value === one ? "true" : "false"}
            onClick=${() => (side.value = one)}>
            ${t(`charts.${one}`)}
          </button>
        `,
      )}
    </div>
  `;
}

/** @returns {Country[]} */
function useCountries() {
  const [world, setWorld] = useState(/** @type {any} */ (null));
  useEffect(() => {
    fetch(worldUrl)
      .then((response) => response.json())
      .then(setWorld, reportError);
  }, []);
  return useMemo(() => (world === null ? [] : drawn(world)), [world]);
}

/** @param {any} world TopoJSON */
function drawn(world) {
  /** @type {any} */
  const shapes = feature(world, world.objects.countries);
  const shown = shapes.features.filter((/** @type {any} */ { id }) => id !== "010"); // without Antarctica
  const projection = geoNaturalEarth1().fitSize([WIDTH, HEIGHT], { ...shapes, features: shown });
  const path = geoPath(projection).digits(1);
  return shown.map((/** @type {any} */ shape) => ({
    letters: countryOfNumber.get(shape.id) ?? "",
    path: path(shape) ?? "",
  }));
}

/**
 * @param {Entity[]} calls
 * @param {string} which "called" or "caller"
 * @returns {Map<string, number>} by the letters of the country
 */
function countsOf(calls, which) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { server, caller, callee, called, dialled } of calls) {
    const numbers = which === "caller" ? [caller?.number] : [dialled, called?.number, callee?.number];
    const place = numbers.map((number) => placeOf(number, server)).find((found) => found !== null);
    if (place) {
      counts.set(place.country, (counts.get(place.country) ?? 0) + 1);
    }
  }
  return counts;
}
