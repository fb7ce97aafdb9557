// Who waits in a queue, the longest first, and the louder the longer.

import { html } from "../../vendor/ui.js";
import { mayDo } from "../actions.js";
import { redirectChannel } from "../callactions.js";
import { now } from "../live.js";
import { Icon } from "../parts/icon.js";
import { nameOf, Person } from "../parts/person.js";
import { Since } from "../parts/since.js";
import { t } from "../text.js";
import { hangUp } from "./actions.js";
import { limitsOf, loudness } from "./alarms.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {import("./model.js").Line} Line */

const MOST_SHOWN = 50; // more are only counted: nobody reads on

/** @param {{ line: Line }} props */
export function Waiting({ line: { key, callers } }) {
  const limits = limitsOf(key);
  const hidden = callers.length - MOST_SHOWN;
  return html`
    <section class="card queue-waiting" aria-labelledby="waiting">
      <h3 id="waiting">${t("queues.callers")}</h3>
      ${callers.length === 0
        ? html`<p class="empty">${t("queues.nobody_waits")}</p>`
        : html`<ol>${callers.slice(0, MOST_SHOWN).map((caller) => html`
            <${Caller} key=${caller.id} caller=${caller} limits=${limits} />`)}</ol>`}
      ${hidden > 0 && html`<p class="soft">${t("person.others", { count: hidden })}</p>`}
    </section>
  `;
}

const WORDS = ["", "queues.waits_long", "queues.waits_too_long"];

/** @param {{ caller: Entity, limits: import("./alarms.js").Limits }} props */
function Caller({ caller, limits }) {
  const loud = loudness(caller["since"], limits, now.value);
  const name = nameOf(caller) || t("person.unknown");
  return html`
    <li class=${`queue-caller loud-${loud}`}>
      <span class="position">${caller["position"]}</span>
      <${Person} who=${caller} server=${caller.server} />
      <span class="waited">
        <${Since} at=${caller["since"]} />
        ${loud > 0 && html`<small>${t(WORDS[loud] ?? "")}</small>`}
      </span>
      <span class="tools">
        ${caller["channel"] && html`<${Tool} action="Redirect" icon="redirect" text="act.redirect" who=${name}
          onClick=${() => redirectChannel(caller.server, caller["channel"], name)} />
        <${Tool} action="Hangup" icon="hang_up" text="act.hang_up" who=${name}
          onClick=${() => hangUp(caller)} />`}
      </span>
    </li>
  `;
}

/**
 * A button of one icon, not there if the viewer may not do it.
 *
 * @param {{ action: string, icon: string, text: string, who: string, onClick: () => void }} props
 */
export function Tool({ action, icon, text, who, onClick }) {
  return mayDo(action) && html`
    <button type="button" class="bare" title=${t(text)} aria-label=${`${t(text)}: ${who}`}
      onClick=${onClick}><${Icon} name=${icon} /></button>`;
}
