// Conferences with their participants, and parking lots with the calls in them.

import { html } from "../../vendor/ui.js";
import { act, mayDo } from "../actions.js";
import { isCurrent, kind, serverNames, servers, useEntities } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Icon } from "../parts/icon.js";
import { nameOf, Person } from "../parts/person.js";
import { Since } from "../parts/since.js";
import { compare, t } from "../text.js";
import { Parking } from "./parking.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/** The view. */
export function Rooms() {
  const conferences = [...useEntities("conference")].sort((one, other) => compare(one["name"], other["name"]));
  const participants = useEntities("participant");
  const isLoaded = kind("conference").isLoaded.value;
  return html`
    <h2>${t("rooms.conferences")}</h2>
    ${conferences.length === 0 &&
    html`<p class="empty card">${t(isLoaded ? "rooms.none" : "app.loading")}</p>`}
    <ul class="room-cards">
      ${conferences.map(
        (room) => html`
          <${Conference} key=${`${room.server} ${room.id}`} room=${room}
            people=${participants.filter((one) => one.server === room.server && one["conference"] === room.id)} />
        `,
      )}
    </ul>
    <${Parking} />
  `;
}

/** @param {{ room: Entity, people: Entity[] }} props */
function Conference({ room, people }) {
  const { name, server, parties, locked, recording, since } = room;
  return html`
    <li class=${isCurrent(server) ? "card" : "card stale"}>
      <header class="bar">
        <h3>${name}</h3>
        <span class="tally">${t("rooms.parties", { count: parties ?? people.length })}</span>
        ${locked && html`<${Chip} kind="warning" text=${t("rooms.locked")} />`}
        ${recording && html`<${Chip} kind="bad" text=${t("rooms.recording")} />`}
        <${Since} at=${since} />
      </header>
      ${servers.value.length > 1 && html`<p class="soft">${serverNames.value.get(server)}</p>`}
      <ul class="people">
        ${people.map((one) => html`<${Participant} key=${one.id} room=${room} person=${one} />`)}
      </ul>
    </li>
  `;
}

/** @param {{ room: Entity, person: Entity }} props */
function Participant({ room, person }) {
  const { admin, waiting, muted, talking, since, server } = person;
  return html`
    <li class=${talking ? "is-talking" : ""}>
      <${Person} who=${person} server=${server} />
      <span class="marks">
        ${admin && html`<${Chip} kind="conference" text=${t("rooms.admin")} />`}
        ${waiting && html`<${Chip} kind="queued" text=${t("rooms.waiting")} />`}
        ${muted && html`<${Chip} kind="paused" text=${t("rooms.muted")} />`}
        ${talking && html`<${Chip} kind="talking" text=${t("rooms.talking")} />`}
      </span>
      <${Since} at=${since} />
      <span class="do">
        <${Do} room=${room} person=${person} what=${muted ? "unmute" : "mute"} icon=${muted ? "play" : "mute"} />
        <${Do} room=${room} person=${person} what="kick" icon="close" />
      </span>
    </li>
  `;
}

/** @param {{ room: Entity, person: Entity, what: "mute" | "unmute" | "kick", icon: string }} props */
function Do({ room, person, what, icon }) {
  const headers = actionOn(room, person, what);
  if (headers === null || !mayDo(headers.Action)) {
    return null;
  }
  const who = nameOf(person) || t("person.unknown");
  const press = () =>
    act({
      server: room.server,
      headers,
      title: t(`rooms.${what}_title`, { who }),
      text: room["name"],
      confirm: t(`rooms.${what}`),
      danger: what === "kick",
      done: t("rooms.done"),
    });
  const label = `${t(`rooms.${what}`)}: ${who}`;
  return html`<button type="button" class="bare" aria-label=${label} title=${t(`rooms.${what}`)} onClick=${press}>
    <${Icon} name=${icon} />
  </button>`;
}

/**
 * MeetMe is asked by its own actions and the number of the user; nobody is removed from it by one.
 *
 * @param {Entity} room
 * @param {Entity} person
 * @param {"mute" | "unmute" | "kick"} what
 * @returns {{ Action: string, [header: string]: string } | null}
 */
function actionOn(room, person, what) {
  const { name, application } = room;
  if (application === "confbridge") {
    const action = { mute: "ConfbridgeMute", unmute: "ConfbridgeUnmute", kick: "ConfbridgeKick" }[what];
    return { Action: action, Conference: name, Channel: person["channel"] };
  }
  const action = { mute: "MeetmeMute", unmute: "MeetmeUnmute", kick: null }[what];
  return action === null ? null : { Action: action, Meetme: name, Usernum: person["user"] };
}
