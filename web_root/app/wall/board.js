// The wallboard itself: a head with the time, tiles, and what needs attention on other pages.
// It has no controls; the arrow keys turn pages and the space bar holds one, for who wants to.

import { html, useEffect, useState } from "../../vendor/ui.js";
import { isCurrent, kind, now, servers } from "../live.js";
import { route } from "../route.js";
import { count, t, timeOfDay } from "../text.js";
import { alarmsOf, gravityOf } from "../queues/alarms.js";
import { useLines } from "../queues/model.js";
import { useAwake } from "./awake.js";
import { chosenLines, secondsOf, serversOf, wallLimits } from "./choice.js";
import { layoutOf, pageOf } from "./layout.js";
import { Tile } from "./tile.js";

/** @typedef {import("../queues/model.js").Line} Line */
/** @typedef {import("../queues/alarms.js").Alarm} Alarm */

/** What a tile needs. @typedef {{ line: Line, alarms: Alarm[], limits: import("../queues/alarms.js").Limits }} Shown */

export function Board() {
  useAwake();
  const { params } = route.value;
  const lines = chosenLines(useLines(), params);
  const shown = lines.map((line) => {
    const limits = wallLimits(line.key, params);
    const alarms = alarmsOf(line, limits, now.value);
    return { line, limits, alarms };
  });
  const { width, height } = useScreen();
  const layout = layoutOf(shown.length, width, height);
  const page = usePage(layout.pages, secondsOf(params));
  const tiles = pageOf(shown, layout, page);
  const hasServers = new Set(lines.map(({ queue }) => queue.server)).size > 1;
  return html`
    <main class="wallboard" id="main">
      <h1 class="visually-hidden">${t("views.wall")}</h1>
      <${Head} shown=${shown} chosen=${serversOf(params)} />
      ${shown.length === 0
        ? html`<p class="wall-empty">${t(kind("queue").isLoaded.value ? "wall.none" : "app.loading")}</p>`
        : html`<div class="wall-tiles" key=${page} style=${{ "--columns": layout.columns, "--rows": layout.rows }}>
            ${tiles.map(({ line, alarms, limits }) => html`
              <${Tile} key=${line.key} line=${line} alarms=${alarms} limits=${limits}
                hasServer=${hasServers} isAlone=${shown.length === 1} room=${roomOf(layout)} />`)}
          </div>`}
      <${Foot} shown=${shown} page=${page} layout=${layout} />
    </main>
  `;
}

/**
 * For how many who wait a tile has room: only those that are as high as the screen have some.
 *
 * @param {import("./layout.js").Layout} layout
 */
const roomOf = ({ rows, pages, perPage }) => (rows > 1 || pages > 1 ? 0 : perPage === 1 ? 7 : 4);

/** @param {{ shown: Shown[], chosen: Set<number> }} props */
function Head({ shown, chosen }) {
  const waiting = shown.reduce((sum, { line }) => sum + line.callers.length, 0);
  const isMeant = (/** @type {number} */ server) => chosen.size === 0 || chosen.has(server);
  const calls = kind("call").list.value.filter(({ server }) => isMeant(server)).length;
  const lost = servers.value.filter(({ id }) => isMeant(Number(id)) && !isCurrent(Number(id)));
  return html`
    <header class="wall-head">
      <p class="wall-total"><b>${count(waiting)}</b> ${t("wall.waiting")}</p>
      <p class="wall-total"><b>${count(calls)}</b> ${t("wall.calls", { count: calls })}</p>
      ${lost.length > 0 && html`<p class="wall-lost" role="status">${t("connection.servers", { server: lost.map(({ name }) => name).join(", ") })}</p>`}
      <p class="wall-clock"><time>${timeOfDay(now.value)}</time></p>
    </header>
  `;
}

/** @param {Shown} shown */
const isGrave = ({ alarms }) => gravityOf(alarms) === "alarm";

/** @param {{ shown: Shown[], page: number, layout: import("./layout.js").Layout }} props */
function Foot({ shown, page, layout }) {
  if (layout.pages === 1) {
    return null;
  }
  const inAlarm = Array.from({ length: layout.pages }, (_, number) =>
    pageOf(shown, layout, number).some(isGrave));
  const elsewhere = shown.filter((one, index) => isGrave(one) && Math.floor(index / layout.perPage) !== page);
  return html`
    <footer class="wall-foot">
      <p class="wall-elsewhere" role="status">${elsewhere.length > 0 &&
      html`<b>${t("queues.gravity.alarm")}</b> ${elsewhere.map(({ line }) => line.queue.id).join(", ")}`}</p>
      <p class="wall-pages" aria-label=${t("wall.page", { page: page + 1, pages: layout.pages })} role="img">
        ${inAlarm.map((isAlarm, number) => html`<span key=${number}
          class=${`${isAlarm ? "is-alarm" : ""} ${number === page ? "is-shown" : ""}`}></span>`)}
      </p>
      <p class="wall-page" aria-hidden="true">${page + 1}/${layout.pages}</p>
    </footer>
  `;
}

/** The size of the window, kept up to date. */
function useScreen() {
  const [size, setSize] = useState({ width: innerWidth, height: innerHeight });
  useEffect(() => {
    const measure = () => setSize({ width: innerWidth, height: innerHeight });
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);
  return size;
}

/**
 * Which page is shown, from 0: the next one every so many seconds.
 *
 * @param {number} pages
 * @param {number} seconds
 */
function usePage(pages, seconds) {
  const [page, setPage] = useState(0);
  const [isHeld, hold] = useState(false);
  const turn = (/** @type {number} */ by) => setPage((before) => (before + by + pages) % pages);
  useEffect(() => {
    if (pages > 1 && !isHeld) {
      const timer = setTimeout(() => turn(1), seconds * 1000);
      return () => clearTimeout(timer);
    }
    return undefined;
  }, [page, pages, seconds, isHeld]);
  useEffect(() => {
    const onKey = (/** @type {KeyboardEvent} */ { key }) => {
      if (key === " ") {
        hold((before) => !before);
      } else if (key === "ArrowRight" || key === "ArrowLeft") {
        turn(key === "ArrowRight" ? 1 : -1);
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [pages]);
  return Math.min(page, pages - 1);
}
