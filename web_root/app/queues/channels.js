// Which channel a member talks on, and since when its phone is as it is. A queue knows interfaces
// only; what is behind them is looked up among channels, hints and devices.

import { computed } from "../../vendor/ui.js";
import { kind } from "../live.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/** The channels that are up, by server and interface: `1 PJSIP/201`. */
const talking = computed(() => {
  /** @type {Map<string, Entity>} */
  const found = new Map();
  for (const channel of kind("channel").list.value) {
    const device = String(channel["name"]).replace(/-[^-]*$/, "");
    const key = `${channel.server} ${device}`;
    if (channel["state"] === "up" && (channel["bridge"] || !found.has(key))) {
      found.set(key, channel);
    }
  }
  return found;
});

// A name that goes into an application's argument, where a comma begins the next one.
const SPYABLE = /^(?!Local\/)[A-Za-z0-9]+\/[^,;|&\s]+$/;

/**
 * The real devices behind a member: never a hint, and never the half of a Local channel.
 *
 * @param {Entity} member
 * @returns {string[]}
 */
function devicesOf({ server, interface: own, state_interface: counted }) {
  const shown = [counted, own].filter(Boolean).map(String);
  const hinted = shown
    .filter((one) => one.startsWith("hint:"))
    .flatMap((one) => String(kind("hint").get(server, one.slice(5))?.["hint"] ?? "").split("&"));
  return [...shown, ...hinted].filter((one) => SPYABLE.test(one));
}

/**
 * The channel on which a member talks, if it is known.
 *
 * @param {Entity} member
 * @returns {Entity | undefined}
 */
export function channelOf(member) {
  for (const device of devicesOf(member)) {
    const channel = talking.value.get(`${member.server} ${device}`);
    if (channel !== undefined && SPYABLE.test(channel["name"])) {
      return channel;
    }
  }
  return undefined;
}

/**
 * Since when a member's phone is in its state; null if the server does not tell.
 *
 * @param {Entity} member
 * @returns {number | null}
 */
export function stateSince({ server, interface: own, state_interface: counted, state }) {
  const name = String(counted || own);
  const watched = name.startsWith("hint:") ? kind("hint").get(server, name.slice(5)) : kind("device").get(server, name);
  return watched?.["state"] === state ? (watched?.["since"] ?? null) : null;
}
