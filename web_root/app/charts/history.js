// How many calls began in each of the last ten minutes. The proxy counts them, so that all viewers
// see the same, whenever they opened the page.

import UPlot from "../../vendor/chart.js";
import { computed, html, useEffect, useRef } from "../../vendor/ui.js";
import { now, servers } from "../live.js";
import { theme } from "../settings.js";
import { count, shortTime, t } from "../text.js";

const MINUTE = 60_000;
const HEIGHT = 220;

/** The sums over all servers, the oldest minute first. */
const minutes = computed(() => {
  const sums = Array.from({ length: 10 }, () => 0);
  for (const server of servers.value) {
    server["calls_by_minute"]?.forEach((/** @type {number} */ some, /** @type {number} */ ago) => {
      sums[9 - ago] = (sums[9 - ago] ?? 0) + some;
    });
  }
  return sums;
});

const thisMinute = computed(() => Math.floor(now.value / MINUTE) * MINUTE);

export function History() {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const chart = useRef(/** @type {UPlot | null} */ (null));
  const counts = minutes.value;
  const times = counts.map((_, index) => (thisMinute.value - (9 - index) * MINUTE) / 1000);
  useEffect(() => {
    const element = /** @type {HTMLElement} */ (place.current);
    const made = new UPlot(options(element), [times, counts], element);
    chart.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [theme.value, matchMedia("(prefers-color-scheme: dark)").matches]);
  useEffect(() => chart.current?.setData([times, counts]), [counts, thisMinute.value]);
  return html`
    <div class="history" ref=${place} aria-hidden="true"></div>
    <div class="visually-hidden">
      <table>
      <caption>${t("charts.history")}</caption>
      <tbody>
        ${times.map(
          (time, index) => html`
            <tr key=${time}><th scope="row">${shortTime(time * 1000)}</th><td>${counts[index]}</td></tr>
          `,
        )}
      </tbody>
      </table>
    </div>
  `;
}

/** @param {HTMLElement} element @returns {import("../../vendor/chart.js").default.Options} */
function options(element) {
  const style = getComputedStyle(element);
  const colour = (/** @type {string} */ name) => resolved(element, `var(--${name})`);
  const axis = {
    stroke: colour("soft"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    font: `13px ${style.fontFamily}`,
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true, range: (_, first, last) => [first - 30, last + 30] }, y: { range: (_, __, most) => [0, Math.max(5, most * 1.1)] } },
    axes: [
      { ...axis, values: (_, times) => times.map((time) => shortTime(time * 1000)) },
      { ...axis, size: 44, values: (_, values) => values.map((value) => (Number.isInteger(value) ? count(value) : "")) },
    ],
    series: [
      {},
      {
        stroke: colour("brand"),
        fill: resolved(element, "color-mix(in srgb, var(--brand) 18%, transparent)"),
        width: 2,
        paths: /** @type {any} */ (UPlot.paths.bars)({ size: [0.7, 60] }),
        points: { show: false },
      },
    ],
  };
}

/**
 * A colour as the canvas takes it: it knows no variables and no light-dark().
 *
 * @param {HTMLElement} element
 * @param {string} value
 */
function resolved(element, value) {
  const probe = document.createElement("span");
  probe.style.color = value;
  element.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
