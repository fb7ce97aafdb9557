// The events of a call, as they come: for who wants to know what the server says.

import { html, useEffect, useState } from "../../vendor/ui.js";
import { amiws } from "../live.js";
import { t, timeOfDay } from "../text.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

const MOST = 100;
const IDS = ["Uniqueid", "Linkedid", "DestUniqueid", "DestLinkedid", "Uniqueid1", "Uniqueid2", "UniqueID"];

/** @param {{ call: Entity }} props */
export function Events({ call }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <details class="events" open=${isOpen}
      onToggle=${(/** @type {Event} */ event) => setOpen(/** @type {HTMLDetailsElement} */ (event.currentTarget).open)}>
      <summary>${t("detail.events")}</summary>
      ${isOpen && html`<${Stream} call=${call} />`}
    </details>
  `;
}

/** @param {{ call: Entity }} props */
function Stream({ call }) {
  const [lines, setLines] = useState(/** @type {any[]} */ ([]));
  const known = new Set([call.id, ...call["legs"]]);
  useEffect(() => {
    const subscription = amiws.subscribe({ server: call.server }, { streams: ["events"] });
    const stop = subscription.on("event", ({ data }) => {
      if (IDS.some((name) => known.has(data[name]))) {
        setLines((before) => [...before, { at: amiws.now(), data }].slice(-MOST));
      }
    });
    return () => {
      stop();
      subscription.close();
    };
  }, [call.server, call.id, call["legs"].length]);
  return html`
    <ol class="way">
      ${lines.map(({ at, data }, index) => html`
        <li key=${index}>
          <time>${timeOfDay(at)}</time>
          <details><summary>${data["Event"]}</summary><${Headers} data=${data} /></details>
        </li>
      `)}
      ${lines.length === 0 && html`<li>${t("detail.no_events")}</li>`}
    </ol>
  `;
}

/** @param {{ data: Record<string, any> }} props */
const Headers = ({ data }) => html`<dl class="headers">
  ${Object.entries(data).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${String(value)}</dd></div>`)}
</dl>`;
