// What a wallboard is to show, and its address, which can be bookmarked or put into a screen's browser.

import { html, useState } from "../../vendor/ui.js";
import { kind, servers } from "../live.js";
import { addressOf } from "../route.js";
import { compare, t } from "../text.js";
import { USUAL } from "../queues/alarms.js";
import { useLines } from "../queues/model.js";

/** @typedef {{ queues: Set<string>, servers: Set<string>, limits: Record<string, string> }} Choice */

const LIMITS = /** @type {const} */ (["waiting", "wait", "level"]);

export function Chooser() {
  const lines = useLines();
  const [queues, setQueues] = useState(() => new Set());
  const [hosts, setHosts] = useState(() => new Set());
  const [limits, setLimits] = useState(() => Object.fromEntries(LIMITS.map((name) => [name, String(USUAL[name])])));
  const names = [...new Set(lines.map(({ queue }) => queue.id))].sort(compare);
  const address = wallAddress({ queues, servers: hosts, limits });
  return html`
    <main class="wall-chooser" id="main">
      <h1>${t("views.wall")}</h1>
      <p>${t("wall.choose")}</p>
      ${names.length === 0 && html`<p class="empty">${t(kind("queue").isLoaded.value ? "queues.none" : "app.loading")}</p>`}
      <${Boxes} title=${t("views.queues")} all=${t("wall.all_queues")} chosen=${queues} onChange=${setQueues}
        options=${names.map((name) => [name, name])} />
      ${servers.value.length > 1 && html`
        <${Boxes} title=${t("views.servers")} all=${t("wall.all_servers")} chosen=${hosts} onChange=${setHosts}
          options=${servers.value.map(({ id, name }) => [id, String(name)])} />`}
      <fieldset class="card wall-limits">
        <legend>${t("queues.alarms")}</legend>
        ${LIMITS.map((name) => html`
          <p class="field" key=${name}>
            <label for=${`wall-${name}`}>${t(`queues.limits.${name}`)}</label>
            <input id=${`wall-${name}`} type="number" min="0" value=${limits[name]}
              onInput=${(/** @type {any} */ event) => setLimits({ ...limits, [name]: event.currentTarget.value })} />
          </p>`)}
      </fieldset>
      <p class="wall-link">
        <a class="button primary" href=${address} onClick=${fullScreen}>${t("wall.start")}</a>
        <a class="button" href="#/">${t("wall.back")}</a>
      </p>
      <p class="field">
        <label for="wall-address">${t("wall.address")}</label>
        <input id="wall-address" readonly value=${new URL(address, location.href).href}
          onFocus=${(/** @type {any} */ event) => event.currentTarget.select()} />
        <small>${t("wall.keys")}</small>
      </p>
    </main>
  `;
}

/** Allowed after a click only; without it the board fills the window. */
function fullScreen() {
  document.documentElement.requestFullscreen?.().catch(() => {});
}

/** @param {Choice} choice */
function wallAddress({ queues, servers: hosts, limits }) {
  const isAll = queues.size === 0 && hosts.size === 0;
  const differing = Object.entries(limits).filter(([name, value]) => value !== String(USUAL[/** @type {"wait"} */ (name)]));
  return addressOf("wall", {
    all: isAll ? "1" : null,
    queue: [...queues],
    server: [...hosts],
    ...Object.fromEntries(differing),
  });
}

/**
 * @param {{ title: string, all: string, options: [string, string][], chosen: Set<string>,
 *   onChange: (chosen: Set<string>) => void }} props
 */
function Boxes({ title, all, options, chosen, onChange }) {
  const toggle = (/** @type {string} */ value) => {
    const next = new Set(chosen);
    if (!next.delete(value)) {
      next.add(value);
    }
    onChange(next);
  };
  return html`
    <fieldset class="card">
      <legend>${title}</legend>
      <p class="soft">${chosen.size === 0 ? all : t("wall.chosen", { count: chosen.size })}</p>
      <div class="wall-boxes">
        ${options.map(([value, text]) => html`
          <label key=${value}>
            <input type="checkbox" checked=${chosen.has(value)} onChange=${() => toggle(value)} /> ${text}
          </label>`)}
      </div>
    </fieldset>
  `;
}
