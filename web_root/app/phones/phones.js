// What servers tell of phones, put together by extension; and which of it are trunks. Values in,
// values out.

import { compare } from "../text.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/**
 * An extension, or a phone that has no hint.
 *
 * @typedef {object} Phone
 * @property {string} key
 * @property {number} server
 * @property {string} number
 * @property {string} name empty: nobody tells it
 * @property {string} state a word of docs/state-kinds.md
 * @property {number | null} since
 * @property {boolean} isQuiet do not disturb
 * @property {string | null} presence where the person is, if he says so
 * @property {number} messages new ones in the mailbox
 * @property {Entity | null} device the peer or endpoint
 * @property {Entity | null} call that he is in
 */

/**
 * Whether a peer or endpoint is a phone of somebody. Asterisk does not tell: phones are named by
 * their number, trunks are not.
 *
 * @param {Entity} device
 */
export const isPhone = (device) => /^\d{2,6}$/.test(device["name"]);

/**
 * @param {Record<"hint" | "endpoint" | "peer" | "mailbox" | "do_not_disturb" | "queue_member" | "call",
 *   Entity[]>} known
 * @returns {Phone[]} by server and number
 */
export function phonesOf(known) {
  const devices = byNumber([...known.peer, ...known.endpoint].filter(isPhone), ({ name }) => name);
  const mailboxes = byNumber(known.mailbox, ({ mailbox }) => mailbox.split("@")[0]);
  const quiet = byNumber(known.do_not_disturb.filter(({ on }) => on), ({ number }) => number);
  const members = byNumber(known.queue_member, (member) => member["interface"].replace(/^\w+\/|@.*$/g, ""));
  const calls = callsByNumber(known.call);
  /** @type {Map<string, Phone>} */
  const phones = new Map();
  for (const source of [...known.hint, ...devices.values()]) {
    const number = String(source["exten"] ?? source["name"]);
    const key = `${source.server} ${number}`;
    if (!phones.has(key)) {
      const device = devices.get(key) ?? null;
      const box = mailboxes.get(key);
      phones.set(key, {
        key,
        server: source.server,
        number,
        name: device?.["description"] || box?.["name"] || members.get(key)?.["name"] || "",
        state: stateOf(source),
        since: source["since"],
        isQuiet: quiet.has(key) || source["presence"] === "dnd",
        presence: source["presence_message"] || null,
        messages: box?.["new"] ?? 0,
        device,
        call: calls.get(key) ?? null,
      });
    }
  }
  return [...phones.values()].sort((one, other) => compare(one.number, other.number) || one.server - other.server);
}

/**
 * A peer has no state of calls, but whether it can be reached.
 *
 * @param {Entity} source
 */
export function stateOf({ state, status }) {
  if (state) {
    return state;
  }
  return ["reachable", "registered", "unmonitored", "lagged"].includes(status) ? "idle" : "unavailable";
}

/**
 * @param {Entity[]} entities
 * @param {(entity: Entity) => string | null | undefined} numberOf
 */
function byNumber(entities, numberOf) {
  return new Map(entities.map((entity) => [`${entity.server} ${numberOf(entity)}`, entity]));
}

/** @param {Entity[]} calls */
function callsByNumber(calls) {
  /** @type {Map<string, Entity>} */
  const found = new Map();
  for (const call of calls) {
    for (const who of [call["caller"], call["callee"], ...call["ringing"], ...call["held"]]) {
      if (who?.number) {
        found.set(`${call.server} ${who.number}`, call);
      }
    }
  }
  return found;
}
