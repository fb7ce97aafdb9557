// One call: who and where, what can be done, the way it took, its legs, and its events as they come.

import { html, useEffect, useRef, useState } from "../../vendor/ui.js";
import { mayDo } from "../actions.js";
import { hangUp, hasOwnPhone, park, pickUp, redirect, spyOn } from "../callactions.js";
import { kind, serverNames, useEntities } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Icon } from "../parts/icon.js";
import { nameOf, Person } from "../parts/person.js";
import { Since } from "../parts/since.js";
import { partnerOf } from "../partner.js";
import { t, timeOfDay } from "../text.js";
import { ended } from "./ended.js";
import { Events } from "./events.js";
import { keyOf } from "./list.js";
import { stepText } from "./way.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/** @param {{ chosen: string, onClose: () => void }} props */
export function Detail({ chosen, onClose }) {
  const call = useLast(chosen);
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => heading.current?.focus(), []);
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.key === "Escape") {
      onClose();
    }
  };
  return html`
    <section class="detail card" aria-labelledby="detail-title" onKeyDown=${onKeyDown}>
      <header>
        <h2 id="detail-title" tabindex="-1" ref=${heading}>${t("detail.title")}</h2>
        <button type="button" class="bare" aria-label=${t("app.close")} onClick=${onClose}>
          <${Icon} name="close" />
        </button>
      </header>
      ${call === null ? html`<p class="empty">${t("detail.gone")}</p>` : html`<${Story} call=${call} />`}
    </section>
  `;
}

/**
 * The call as it is; after its end, as it was.
 *
 * @param {string} chosen its key
 * @returns {Entity | null}
 */
function useLast(chosen) {
  const last = useRef(/** @type {Entity | null} */ (null));
  const found =
    useEntities("call").find((call) => keyOf(call) === chosen) ??
    ended.value.find((call) => keyOf(call) === chosen);
  if (found !== undefined) {
    last.current = found;
  } else if (last.current !== null && last.current["phase"] !== "ended") {
    last.current = { ...last.current, phase: "ended" }; // it became part of another
  }
  return last.current;
}

/** @param {{ call: Entity }} props */
function Story({ call }) {
  const isOver = call["phase"] === "ended";
  const other = partnerOf(call);
  return html`
    <div class="detail-people">
      <${Person} who=${call["caller"]} server=${call.server} />
      ${other && html`<span aria-hidden="true">→</span>`}
      ${other && html`<${Person} who=${other} server=${call.server} others=${Math.max(0, call["ringing"].length - 1)} />`}
    </div>
    ${!isOver && html`<${Buttons} call=${call} />`}
    <dl class="facts">
      <${Fact} name="state">
        <${Chip} kind=${call["phase"]} text=${t(`phases.${call["phase"]}`)} />
        ${isOver ? html` ${call["cause_text"] ?? ""}` : html` <${Since} at=${call["since"]} />`}
      <//>
      <${Fact} name="began">${timeOfDay(call["created"])}<//>
      <${Fact} name="answered">${timeOfDay(call["answered"])}<//>
      <${Fact} name="server">${serverNames.value.get(call.server)}<//>
      ${["dialled", "trunk", "queue", "conference", "parking", "application", "listens_to"].map(
        (name) => html`<${Fact} key=${name} name=${name}>${call[name]}<//>`,
      )}
      <${Fact} name="held">${call["held"].map(nameOf).join(", ")}<//>
    </dl>
    <h3>${t("detail.way")}</h3>
    <${Way} call=${call} />
    <h3>${t("detail.legs")}</h3>
    <${Legs} call=${call} />
    <${Events} call=${call} />
  `;
}

/** A fact, unless nothing is known of it. @param {{ name: string, children?: any }} props */
function Fact({ name, children }) {
  const isKnown = [children].flat().some((one) => one !== null && one !== undefined && one !== "");
  return isKnown && html`<div><dt>${t(`detail.${name}`)}</dt><dd>${children}</dd></div>`;
}

/** @param {{ call: Entity }} props */
function Way({ call }) {
  return html`
    <ol class="way">
      ${call["way"].map(
        (/** @type {any} */ step, /** @type {number} */ index) => html`
          <li key=${index}><time>${timeOfDay(step.at)}</time><span>${stepText(step)}</span></li>
        `,
      )}
    </ol>
  `;
}

/** @param {{ call: Entity }} props */
function Legs({ call }) {
  useEntities("channel");
  if (!kind("channel").isLoaded.value) {
    return html`<p class="soft">${t("app.loading")}</p>`;
  }
  const legs = call["legs"].map((/** @type {string} */ id) => kind("channel").get(call.server, id)).filter(Boolean);
  return html`
    <ul class="legs">
      ${legs.map(
        (/** @type {Entity} */ leg) => html`
          <li key=${leg.id}>
            <strong>${leg["name"]}</strong> ${t(`channel_states.${leg["state"]}`)}${leg["hold"] && `, ${t("phases.held")}`}
            <small>${[leg["application"], leg["exten"] && `${leg["exten"]}@${leg["context"]}`, leg["bridge"] && t("detail.bridge", { bridge: leg["bridge"].slice(0, 8) })].filter(Boolean).join(" · ")}</small>
          </li>
        `,
      )}
      ${legs.length === 0 && html`<li>${t("detail.no_legs")}</li>`}
    </ul>
  `;
}

/** What can be done; what may not be done is not there. @param {{ call: Entity }} props */
function Buttons({ call }) {
  const { caller, callee, ringing, phase } = call;
  const isTalking = phase === "talking" || phase === "held";
  const people = [caller, isTalking ? callee : null].filter((who) => who?.channel);
  return html`
    <div class="buttons start">
      ${mayDo("Hangup") && html`<${Do} icon="hang_up" text="hang_up" danger act=${() => hangUp(call)} />`}
      ${hasOwnPhone() && ringing.length > 0 && html`<${Do} icon="calls" text="pick_up" act=${() => pickUp(call)} />`}
      ${people.map(
        (who, index) => html`<${Handling} key=${who.channel} ...${{ call, who, other: people[1 - index] ?? null }} />`,
      )}
      ${hasOwnPhone() && isTalking && html`<${Listening} call=${call} who=${callee ?? caller} />`}
    </div>
  `;
}

/** @param {any} props */
function Handling({ call, who, other }) {
  const name = nameOf(who);
  return html`
    ${mayDo("Redirect") && html`<${Do} icon="redirect" text="redirect_who" name=${name} act=${() => redirect(call, who)} />`}
    ${mayDo("Park") && call["phase"] === "talking" &&
    html`<${Do} icon="park" text="park_who" name=${name} act=${() => park(call, who, other)} />`}
  `;
}

/** @param {any} props */
function Listening({ call, who }) {
  return ["listen", "whisper", "barge"].map(
    (how) => html`<${Do} key=${how} icon=${how} text=${how} act=${() => spyOn(call, who, /** @type {"listen"} */ (how))} />`,
  );
}

/** @param {{ icon: string, text: string, name?: string, danger?: boolean, act: () => Promise<unknown> }} props */
function Do({ icon, text, name, danger, act }) {
  const [isBusy, setBusy] = useState(false);
  const press = async () => {
    setBusy(true);
    await act().finally(() => setBusy(false));
  };
  return html`
    <button type="button" class=${danger ? "danger" : ""} disabled=${isBusy} onClick=${press}>
      <${Icon} name=${icon} />${t(`act.${text}`, name === undefined ? {} : { who: name })}
    </button>
  `;
}
