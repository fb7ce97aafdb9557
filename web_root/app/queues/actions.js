// What an operator does with callers and members of a queue; `act` asks once more and tells the
// answer. What is done with any channel is in callactions.js.

import { act } from "../actions.js";
import { nameOf } from "../parts/person.js";
import { t } from "../text.js";
import { labelOf } from "./model.js";
import { pauseReasons } from "./settings.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/** @param {Entity} member */
export function pause(member) {
  const { server, queue, interface: device } = member;
  return act({
    server,
    title: t("queues.ask.pause", { name: labelOf(member) }),
    confirm: t("queues.pause"),
    fields: [
      { name: "reason", label: t("queues.ask.reason"), options: [...pauseReasons(), ""].map((one) => [one, one || t("queues.ask.no_reason")]) },
      scope(queue),
    ],
    headers: ({ reason, scope: where }) => ({ ...target(where, queue, device), Paused: true, Reason: reason || null }),
    done: t("queues.done.paused", { name: labelOf(member) }),
  });
}

/** @param {Entity} member */
export function unpause(member) {
  const { server, queue, interface: device } = member;
  return act({
    server,
    title: t("queues.ask.unpause", { name: labelOf(member) }),
    confirm: t("queues.unpause"),
    fields: [scope(queue)],
    headers: ({ scope: where }) => ({ ...target(where, queue, device), Paused: false }),
    done: t("queues.done.unpaused", { name: labelOf(member) }),
  });
}

/** @param {string} queue @returns {import("../actions.js").Field} */
const scope = (queue) => ({
  name: "scope",
  label: t("queues.ask.where"),
  options: [["one", t("queues.ask.here", { queue })], ["all", t("queues.ask.everywhere")]],
});

/** @param {string | undefined} where @param {string} queue @param {string} device */
const target = (where, queue, device) => ({
  Action: "QueuePause",
  Interface: device,
  Queue: where === "all" ? null : queue,
});

/** @param {Entity} member */
export function remove(member) {
  const { server, queue, interface: device } = member;
  const names = { name: labelOf(member), queue };
  return act({
    server,
    title: t("queues.ask.remove", names),
    confirm: t("queues.remove"),
    danger: true,
    headers: { Action: "QueueRemove", Queue: queue, Interface: device },
    done: t("queues.done.removed", names),
  });
}

/**
 * @param {Entity} queue
 * @param {string[]} known interfaces that may be meant
 */
export function add({ server, id }, known) {
  return act({
    server,
    title: t("queues.ask.add", { queue: id }),
    confirm: t("queues.add"),
    fields: [
      { name: "device", label: t("queues.ask.interface"), hint: t("queues.ask.interface_hint"), required: true, suggestions: known },
      { name: "member", label: t("queues.ask.name") },
      { name: "penalty", label: t("queues.ask.penalty"), value: "0" },
    ],
    headers: ({ device = "", member, penalty }) =>
      ({ Action: "QueueAdd", Queue: id, Interface: device, MemberName: member || null, Penalty: penalty || "0" }),
    done: t("queues.done.added", { queue: id }),
  });
}

/** @param {Entity} caller */
export function hangUp(caller) {
  return act({
    server: caller.server,
    title: t("queues.ask.hang_up", { name: nameOf(caller) || t("person.unknown") }),
    confirm: t("act.hang_up"),
    danger: true,
    headers: { Action: "Hangup", Channel: caller["channel"] },
    done: t("queues.done.hung_up"),
  });
}
