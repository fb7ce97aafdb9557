// What an operator does with callers and members of a queue; `act` asks once more and tells the answer.

import { act } from "../actions.js";
import { ownInterface } from "../settings.js";
import { t } from "../text.js";
import { nameOf } from "../parts/person.js";
import { labelOf, someone } from "./model.js";
import { dialContext, pauseReasons } from "./settings.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

const RING_FOR = 30_000; // milliseconds: how long the own phone rings

/** Who is asked for if this browser does not know yet; the answer is kept. */
const ownPhone = () => ({
  name: "own",
  label: t("preferences.own_interface"),
  value: ownInterface.value,
  hint: t("queues.own_hint"),
  required: true,
});

/** @param {{ own?: string }} values What was answered to `ownPhone`. */
function ownChannel({ own = "" }) {
  ownInterface.value = own;
  return own;
}

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
    title: t("queues.ask.hang_up", { name: nameOf(someone(caller)) || t("person.unknown") }),
    confirm: t("queues.hang_up"),
    danger: true,
    headers: { Action: "Hangup", Channel: caller["channel"] },
    done: t("queues.done.hung_up"),
  });
}

/** @param {Entity} caller */
export function redirect(caller) {
  return act({
    server: caller.server,
    title: t("queues.ask.redirect", { name: nameOf(someone(caller)) || t("person.unknown") }),
    confirm: t("queues.redirect"),
    fields: [{ name: "to", label: t("queues.ask.to"), required: true }, context()],
    headers: ({ to = "", context: where = "" }) =>
      ({ Action: "Redirect", Channel: caller["channel"], Context: where, Exten: to, Priority: 1 }),
    done: t("queues.done.redirected"),
  });
}

const context = () => ({
  name: "context",
  label: t("queues.preferences.context"),
  value: dialContext.value,
  required: true,
});

/**
 * Rings the own phone, and then dials.
 *
 * @param {number} server
 * @param {import("../parts/person.js").Someone} who
 */
export function callBack(server, who) {
  return act({
    server,
    title: t("queues.ask.call_back", { name: nameOf(who) }),
    text: t("queues.ask.rings_first"),
    confirm: t("queues.call_back"),
    fields: [
      { name: "to", label: t("queues.ask.number"), value: who.number ?? "", required: true },
      context(),
      ownPhone(),
    ],
    headers: (values) => ({
      Action: "Originate",
      Channel: ownChannel(values),
      Context: values["context"] ?? "",
      Exten: values["to"] ?? "",
      Priority: 1,
      CallerID: values["to"] ?? "",
      Timeout: RING_FOR,
      Async: true,
    }),
    wait: true,
    done: t("queues.done.called_back"),
  });
}

// Options of ChanSpy: quiet, whisper, barge; E ends it with the call that is listened to.
const SPY = { listen: "qE", whisper: "qwE", barge: "qBE" };

/**
 * Rings the own phone, and then listens to the channel that a member talks on.
 *
 * @param {keyof typeof SPY} how
 * @param {Entity} member
 * @param {Entity} channel
 */
export function spy(how, member, channel) {
  return act({
    server: member.server,
    title: t(`queues.ask.${how}`, { name: labelOf(member) }),
    text: t("queues.ask.rings_first"),
    confirm: t(`queues.${how}`),
    fields: [ownPhone()],
    headers: (values) => ({
      Action: "Originate",
      Channel: ownChannel(values),
      Application: "ChanSpy",
      Data: `${channel["name"]},${SPY[how]}`,
      CallerID: t(`queues.${how}`),
      Timeout: RING_FOR,
      Async: true,
    }),
    wait: true,
    done: t("queues.done.listening", { name: labelOf(member) }),
  });
}
