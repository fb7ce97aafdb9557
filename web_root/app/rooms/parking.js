// Parking lots, and who is parked in them for how long.

import { html } from "../../vendor/ui.js";
import { act, mayDo } from "../actions.js";
import { hasOwnPhone, redirectChannel, ringMe } from "../callactions.js";
import { isCurrent, kind, now, serverNames, servers, useEntities } from "../live.js";
import { Icon } from "../parts/icon.js";
import { nameOf, Person } from "../parts/person.js";
import { Since } from "../parts/since.js";
import { compare, duration, t } from "../text.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/** The part of the view. */
export function Parking() {
  const lots = useEntities("parking_lot");
  const calls = [...useEntities("parked_call")].sort((one, other) => compare(String(one["space"]), String(other["space"])));
  const isLoaded = kind("parked_call").isLoaded.value;
  return html`
    <h2>${t("rooms.parking")}</h2>
    ${lots.length === 0 && html`<p class="empty card">${t(isLoaded ? "rooms.free" : "app.loading")}</p>`}
    <ul class="room-cards">
      ${lots.map(
        (lot) => html`
          <${Lot} key=${`${lot.server} ${lot.id}`} lot=${lot}
            calls=${calls.filter((call) => call.server === lot.server && call["lot"] === lot["name"])} />
        `,
      )}
    </ul>
  `;
}

/** @param {{ lot: Entity, calls: Entity[] }} props */
function Lot({ lot, calls }) {
  const { name, first, last, server } = lot;
  const all = first === null ? 0 : Number(last) - Number(first) + 1; // not all servers tell
  return html`
    <li class=${isCurrent(server) ? "card" : "card stale"}>
      <header class="bar">
        <h3>${t("rooms.lot", { lot: name })}</h3>
        <span class="tally">${all > 0 && t("rooms.slots", { used: calls.length, all })}</span>
      </header>
      ${servers.value.length > 1 && html`<p class="soft">${serverNames.value.get(server)}</p>`}
      ${calls.length === 0 && html`<p class="soft">${t("rooms.free")}</p>`}
      ${calls.length > 0 &&
      html`<ul class="people">
        ${calls.map((call) => html`<${Parked} key=${call.id} call=${call} />`)}
      </ul>`}
    </li>
  `;
}

/** @param {{ call: Entity }} props */
function Parked({ call }) {
  const { space, parker, since, until, server } = call;
  return html`
    <li>
      <strong class="slot">${space}</strong>
      <div class="parked">
        <${Person} who=${call} server=${server} />
        ${parker && html`<small>${t("rooms.parked_by", { who: parker })}</small>`}
        ${until && html`<small>${t("rooms.back_in", { time: duration(until - now.value) })}</small>`}
      </div>
      <${Since} at=${since} />
      <span class="do"><${Handling} call=${call} /></span>
    </li>
  `;
}

/** @param {{ call: Entity }} props */
function Handling({ call }) {
  const who = nameOf(call) || t("person.unknown");
  return html`
    ${hasOwnPhone() && html`<${Press} icon="calls" text="rooms.fetch" who=${who} onPress=${() => fetchCall(call)} />`}
    ${mayDo("Redirect") &&
    html`<${Press} icon="redirect" text="rooms.send" who=${who}
      onPress=${() => redirectChannel(call.server, call["channel"], who)} />`}
    ${mayDo("Hangup") && html`<${Press} icon="hang_up" text="act.hang_up" who=${who} onPress=${() => hangUp(call, who)} />`}
  `;
}

/** @param {{ icon: string, text: string, who: string, onPress: () => unknown }} props */
const Press = ({ icon, text, who, onPress }) => html`
  <button type="button" class="bare" aria-label=${`${t(text)}: ${who}`} title=${t(text)} onClick=${onPress}>
    <${Icon} name=${icon} />
  </button>
`;

/**
 * Asterisk 12 has turned the arguments of ParkedCall around.
 *
 * @param {Entity} call
 */
function fetchCall(call) {
  const version = parseInt(kind("server").get(0, String(call.server))?.["version"] ?? "", 10);
  const Data = version < 12 ? `${call["space"]},${call["lot"]}` : `${call["lot"]},${call["space"]}`;
  return ringMe(
    call.server,
    { Application: "ParkedCall", Data },
    { title: t("rooms.fetch_title"), text: nameOf(call), confirm: t("rooms.fetch"), done: t("act.phone_rings") },
  );
}

/**
 * @param {Entity} call
 * @param {string} who
 */
const hangUp = (call, who) =>
  act({
    server: call.server,
    headers: { Action: "Hangup", Channel: call["channel"] },
    title: t("act.hang_up_title"),
    text: who,
    confirm: t("act.hang_up"),
    danger: true,
    done: t("act.hung_up"),
  });
