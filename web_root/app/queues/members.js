// Who serves a queue, each a tile: how he stands, in words and colour, and since when.

import { html, useEffect } from "../../vendor/ui.js";
import { mayDo } from "../actions.js";
import { hasOwnPhone, spy } from "../callactions.js";
import { hold } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Person } from "../parts/person.js";
import { Since } from "../parts/since.js";
import { dayAndTime, t } from "../text.js";
import { pause, remove, unpause } from "./actions.js";
import { Tool } from "./callers.js";
import { channelOf, stateSince } from "./channels.js";
import { labelOf, standingOf } from "./model.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {import("./model.js").Line} Line */

/** The colour for each standing, of those of style/parts.css. @type {Record<string, string>} */
const COLOURS = {
  idle: "idle",
  talking: "busy",
  on_hold: "application",
  ringing: "ringing",
  paused: "paused",
  unavailable: "none",
  unknown: "none",
};

/** @param {{ line: Line }} props */
export function Members({ line: { members } }) {
  useEffect(() => {
    const ends = ["device", "channel"].map(hold);
    return () => ends.forEach((end) => end());
  }, []);
  return html`
    <section class="queue-members" aria-labelledby="members">
      <h3 id="members">${t("queues.members")}</h3>
      ${members.length === 0
        ? html`<p class="empty">${t("queues.no_members")}</p>`
        : html`
          ${!hasOwnPhone() && mayDo("Originate") && html`<p class="soft">${t("queues.no_phone")}</p>`}
          <ul>${members.map((member) => html`<${Member} key=${member.id} member=${member} />`)}</ul>`}
    </section>
  `;
}

/** @param {{ member: Entity }} props */
function Member({ member }) {
  const standing = standingOf(member);
  const channel = channelOf(member);
  const calls = member["calls_taken"];
  const since = standing === "paused" ? member["paused_since"] : stateSince(member);
  const partner = standing === "talking" && (channel?.["connected_name"] || channel?.["connected_number"]);
  return html`
    <li class="card queue-member" data-kind=${COLOURS[standing]} data-standing=${standing}>
      <div class="member-head">
        <${Person} who=${{ name: labelOf(member), number: member["name"] ? member["interface"] : null }} />
        <span class="member-state">
          <${Chip} kind=${COLOURS[standing]} text=${t(`queues.standing.${standing}`)} />
          <${Since} at=${since} />
        </span>
      </div>
      ${(partner || !member["paused"]) && html`<p class="member-now">${partner && t("queues.with", { name: partner })}</p>`}
      ${member["paused"] && html`<p class="member-now member-pause">
        <span>${t("queues.paused_for", { reason: member["reason"] || t("queues.ask.no_reason") })}</span>
        ${standing !== "paused" && html`<${Since} at=${member["paused_since"]} />`}</p>`}
      <div class="member-foot">
        <p class="soft" title=${lastCall(member)}>${calls !== null && t("queues.taken", { count: calls })}</p>
        <span class="tools"><${Tools} member=${member} channel=${channel} /></span>
      </div>
    </li>
  `;
}

/** @param {Entity} member */
const lastCall = ({ last_call: last }) => last && t("queues.last_at", { time: dayAndTime(last) });

/** @param {{ member: Entity, channel: Entity | undefined }} props */
function Tools({ member, channel }) {
  const who = labelOf(member);
  const common = { who, action: "Originate" };
  return html`
    ${channel && hasOwnPhone() && /** @type {const} */ (["listen", "whisper", "barge"]).map((how) => html`
      <${Tool} key=${how} ...${common} icon=${how} text=${`act.${how}`} onClick=${() => spy(member.server, channel["name"], who, how)} />`)}
    ${member["paused"]
      ? html`<${Tool} action="QueuePause" icon="play" text="queues.unpause" who=${who} onClick=${() => unpause(member)} />`
      : html`<${Tool} action="QueuePause" icon="pause" text="queues.pause" who=${who} onClick=${() => pause(member)} />`}
    ${member["membership"] === "dynamic" &&
    html`<${Tool} action="QueueRemove" icon="leave" text="queues.remove" who=${who} onClick=${() => remove(member)} />`}
  `;
}
