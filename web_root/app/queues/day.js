// What a queue's day was so far: who gave up, and what each agent did.

import { html } from "../../vendor/ui.js";
import { mayDo } from "../actions.js";
import { newCall } from "../callactions.js";
import { now } from "../live.js";
import { Icon } from "../parts/icon.js";
import { nameOf, Person } from "../parts/person.js";
import { dayAndTime, duration, t, timeOfDay } from "../text.js";
import { save } from "./csv.js";
import { labelOf } from "./model.js";
import { abandonedRows, agentColumns, agentFigure, agentRows } from "./tables.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/** @param {{ queue: Entity }} props */
export function Abandoned({ queue }) {
  /** @type {any[]} */
  const all = queue["last_abandoned"];
  const mayCall = mayDo("Originate");
  return html`
    <section class="card queue-abandoned" aria-labelledby="abandoned">
      <${Title} id="abandoned" text=${t("queues.last_abandoned")} isEmpty=${all.length === 0}
        onSave=${() => save(`${queue.id}-${t("queues.file_abandoned")}-${queue["day"]}`, abandonedRows(queue))} />
      ${all.length === 0
        ? html`<p class="empty">${t("queues.nobody_gave_up")}</p>`
        : html`<table>
            <thead><tr>
              <th scope="col">${t("queues.gave_up.who")}</th>
              <th scope="col">${t("queues.gave_up.when")}</th>
              <th scope="col" class="number">${t("queues.gave_up.waited")}</th>
              ${mayCall && html`<td></td>`}
            </tr></thead>
            <tbody>${all.map((one) => html`
              <tr key=${`${one.uniqueid} ${one.at}`}>
                <td><${Person} who=${one} server=${queue.server} /></td>
                <td title=${dayAndTime(one.at)}>${isToday(one.at) ? timeOfDay(one.at) : dayAndTime(one.at)}</td>
                <td class="number">${duration(one.wait * 1000)}</td>
                ${mayCall && html`<td class="number">${one.number &&
                html`<button type="button" aria-label=${`${t("queues.call_back")}: ${one.name || one.number}`}
                  onClick=${() => callBack(queue.server, one)}>
                  <${Icon} name="calls" /><span>${t("queues.call_back")}</span></button>`}</td>`}
              </tr>`)}</tbody>
          </table>`}
    </section>
  `;
}

/** @param {number} server @param {import("../parts/person.js").Someone} who */
const callBack = (server, who) =>
  newCall({ server, number: who.number ?? "", title: t("queues.ask.call_back", { name: nameOf(who) }) });

/** @param {number} at */
const isToday = (at) => new Date(at).toDateString() === new Date(now.value).toDateString();

/** @param {{ line: import("./model.js").Line }} props */
export function Agents({ line }) {
  const { queue, members } = line;
  const columns = agentColumns(members);
  return html`
    <section class="card queue-agents" aria-labelledby="agents">
      <${Title} id="agents" text=${t("queues.agents")} isEmpty=${members.length === 0}
        onSave=${() => save(`${queue.id}-${t("queues.file_agents")}-${queue["day"]}`, agentRows(line))} />
      ${members.length === 0
        ? html`<p class="empty">${t("queues.no_members")}</p>`
        : html`<div class="wide" role="group" aria-labelledby="agents" tabindex="0"><table>
            <thead><tr>
              <th scope="col">${t("queues.agent.agent")}</th>
              ${columns.map(({ name }) => html`<th key=${name} scope="col" class="number">${t(`queues.agent.${name}`)}</th>`)}
            </tr></thead>
            <tbody>${members.map((member) => html`
              <tr key=${member.id}>
                <th scope="row">${labelOf(member)}</th>
                ${columns.map((column) => html`<td key=${column.name} class="number">${agentFigure(column, member)}</td>`)}
              </tr>`)}</tbody>
          </table></div>`}
    </section>
  `;
}

/** @param {{ id: string, text: string, isEmpty: boolean, onSave: () => void }} props */
function Title({ id, text, isEmpty, onSave }) {
  return html`
    <div class="section-title">
      <h3 id=${id}>${text}</h3>
      ${!isEmpty && html`<button type="button" class="quiet" aria-label=${`${t("queues.export")}: ${text}`} onClick=${onSave}>
        <${Icon} name="download" />CSV</button>`}
    </div>
  `;
}
