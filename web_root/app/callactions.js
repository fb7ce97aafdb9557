// What can be done with a call, for all views: each is asked for once more, and its answer shown.

import { act, ask, mayDo, send, tell } from "./actions.js";
import { channelNames } from "./channels.js";
import { serverNames } from "./live.js";
import { partnerOf } from "./partner.js";
import { nameOf } from "./parts/person.js";
import { context, ownInterface } from "./settings.js";
import { t } from "./text.js";

/** @typedef {import("../lib/amiws.js").Entity} Entity */
/** @typedef {import("./parts/person.js").Someone & { channel?: string | null }} Someone */

/** @param {Entity} call */
export function describe(call) {
  const caller = nameOf(call["caller"]) || t("person.unknown");
  const called = nameOf(partnerOf(call));
  return called ? t("act.call", { caller, called }) : caller;
}

/**
 * The channel of somebody in a call. Without one nothing can be done: that is told.
 *
 * @param {number} server
 * @param {Someone | null} who
 */
async function channelOf(server, who) {
  const [name] = await channelNames(server, [who?.channel]);
  if (name === null || name === undefined) {
    tell(t("act.gone"), { isError: true });
    return null;
  }
  return name;
}

/** @param {Entity} call */
export async function hangUp(call) {
  const channel = await channelOf(call.server, call["caller"]);
  return (
    channel &&
    act({
      server: call.server,
      headers: { Action: "Hangup", Channel: channel },
      title: t("act.hang_up_title"),
      text: describe(call),
      confirm: t("act.hang_up"),
      danger: true,
      done: t("act.hung_up"),
    })
  );
}

/**
 * Sends somebody of the call to another extension.
 *
 * @param {Entity} call
 * @param {Someone} who
 */
export async function redirect(call, who) {
  const channel = await channelOf(call.server, who);
  return channel && redirectChannel(call.server, channel, nameOf(who));
}

/**
 * Sends a channel to another extension.
 *
 * @param {number} server
 * @param {string} channel
 * @param {string} who whose it is, for the viewer
 */
export function redirectChannel(server, channel, who) {
  return act({
    server,
    headers: (values) => {
      context.value = String(values["context"]);
      const to = { Exten: String(values["extension"]), Context: context.value, Priority: 1 };
      return { Action: "Redirect", Channel: channel, ...to };
    },
    title: t("act.redirect_title", { who }),
    fields: [
      { name: "extension", label: t("act.extension"), required: true },
      { name: "context", label: t("act.context"), value: context.value, required: true },
    ],
    confirm: t("act.redirect"),
    done: t("act.redirected"),
  });
}

/**
 * Parks somebody; who he talks with can fetch him, and is called back when it takes too long.
 *
 * @param {Entity} call
 * @param {Someone} who
 * @param {Someone | null} other
 */
export async function park(call, who, other) {
  const [channel, back] = await channelNames(call.server, [who.channel, other?.channel]);
  if (!channel) {
    tell(t("act.gone"), { isError: true });
    return null;
  }
  return act({
    server: call.server,
    headers: { Action: "Park", Channel: channel, TimeoutChannel: back ?? channel },
    title: t("act.park_title", { who: nameOf(who) }),
    text: describe(call),
    confirm: t("act.park"),
    done: t("act.parked"),
  });
}

/** Whether there is a phone for what this viewer does himself. */
export const hasOwnPhone = () => ownInterface.value !== "" && mayDo("Originate");

/**
 * Rings the viewer's own phone, and connects it with an application.
 *
 * @param {number} server
 * @param {{ Application: string, Data: string }} application
 * @param {{ title: string, text: string, confirm: string, done: string }} words
 */
export function ringMe(server, application, words) {
  return act({
    server,
    headers: {
      Action: "Originate",
      Channel: ownInterface.value,
      ...application,
      CallerID: `"${words.confirm.replaceAll('"', "")}" <${application.Application}>`,
      Timeout: 30000,
    },
    ...words,
    text: `${words.text} ${t("act.rings", { phone: ownInterface.value })}`,
  });
}

/**
 * Takes a call that rings at another phone.
 *
 * @param {Entity} call
 */
export async function pickUp(call) {
  const channel = await channelOf(call.server, call["ringing"][0] ?? null);
  return (
    channel &&
    ringMe(
      call.server,
      { Application: "PickupChan", Data: channel },
      {
        title: t("act.pick_up_title"),
        text: describe(call),
        confirm: t("act.pick_up"),
        done: t("act.picked_up"),
      },
    )
  );
}

/** How one may listen: the options of ChanSpy. q: no beep before; E: ends with the call. */
const SPY_OPTIONS = { listen: "qE", whisper: "qwE", barge: "qBE" };

/**
 * Listens to a channel; whispers to it; or joins the call.
 *
 * @param {number} server
 * @param {string} channel a real one, such as PJSIP/201-0000002a
 * @param {string} name whose it is, for the viewer
 * @param {keyof typeof SPY_OPTIONS} how
 */
export function spy(server, channel, name, how) {
  return ringMe(
    server,
    { Application: "ChanSpy", Data: `${channel},${SPY_OPTIONS[how]}` },
    {
      title: t(`act.${how}_title`, { who: name }),
      text: t(`act.${how}_text`, { who: name }),
      confirm: t(`act.${how}`),
      done: t("act.phone_rings"),
    },
  );
}

/**
 * As `spy`, for somebody in a call.
 *
 * @param {Entity} call
 * @param {Someone} who
 * @param {keyof typeof SPY_OPTIONS} how
 */
export async function spyOn(call, who, how) {
  const channel = await channelOf(call.server, who);
  return channel && spy(call.server, channel, nameOf(who), how);
}

/**
 * Rings the viewer's own phone, then dials a number.
 *
 * @param {{ server?: number, number?: string, title?: string }} [known]
 */
export async function newCall({ server, number = "", title = t("act.new_call_title") } = {}) {
  const servers = [...serverNames.value].map(([id, name]) => /** @type {[string, string]} */ ([String(id), name]));
  const where = { name: "server", label: t("act.server"), options: servers };
  const values = await ask({
    title,
    fields: [
      ...(server === undefined && servers.length > 1 ? [where] : []),
      { name: "number", label: t("act.number"), value: number, required: true },
      { name: "phone", label: t("preferences.own_interface"), value: ownInterface.value, required: true, hint: t("act.phone_hint") },
      { name: "context", label: t("act.context"), value: context.value, required: true },
    ],
    confirm: t("act.new_call"),
  });
  if (values === null) {
    return null;
  }
  ownInterface.value = String(values["phone"]);
  context.value = String(values["context"]);
  const headers = {
    Action: "Originate",
    Channel: ownInterface.value,
    Exten: String(values["number"]),
    Context: context.value,
    Priority: 1,
    CallerID: String(values["number"]),
    Timeout: 30000,
  };
  return send(Number(server ?? values["server"] ?? servers[0]?.[0]), headers, { done: t("act.phone_rings") });
}
