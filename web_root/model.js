// What this page knows of the servers, from the messages of the classic socket, and what it should
// ask next. No DOM, no socket, no clock: `now` (milliseconds) is given, actions are returned.

import { Calls } from "./calls.js";
import { headersOf } from "./channels.js";

const BANNER = 1;
const EVENT = 3;
const ANSWERS = new Set([4, 5]);

// A server that is quiet for this long is asked for a sign of life. Every page hears the answer, so
// the jitter leaves most of the asking to one of them.
const QUIET_FOR = 6000;
const QUIET_JITTER = 4000;
const ANSWER_WITHIN = 20000;

// One that is not connected says so to the asking page alone, and greets all when it is back.
const LOST_FOR = 30000;
const LOST_JITTER = 30000;

// Events can be filtered away: now and then the list of channels puts right what they left wrong.
const LIST_EVERY = 120000;
const LIST_JITTER = 60000;

// A server that spoke so recently is connected, whatever was refused.
const JUST_SPOKE = 3000;

const MOST_OPEN_LISTS = 8;
const MOST_LIST_ITEMS = 20000;

// Refusals of Asterisk itself: whoever says this is connected.
const REFUSED_BY_ASTERISK = /^(permission denied|invalid\/unknown command)/i;

export class Model {
  /**
   * `prefix`: begins the ActionIDs of this page, and of no other.
   * `now`: when the page was opened. `random`: 0 to 1, as Math.random.
   */
  constructor({ prefix, now, random = Math.random }) {
    this.prefix = prefix;
    this.openedAt = now;
    this.random = random;
    this.servers = new Map();
    this.connectedAt = null;
    this.closedAt = null;
    this.version = 0; // grows with each change that can be seen
    this.asked = 0;
  }

  /** The socket has opened. Returns the actions to send. */
  opened(now) {
    this.connectedAt = now;
    this.closedAt = null;
    this.version += 1;
    for (const server of this.servers.values()) {
      server.heardAt = now;
      server.askedAt = now;
      server.listedAt = now;
    }
    return this.#questions(null);
  }

  /** The socket has closed: nothing is known but what was. */
  closed(now) {
    this.connectedAt = null;
    this.closedAt = now;
    this.version += 1;
    for (const server of this.servers.values()) {
      server.lists.clear();
      server.spokeAt = -Infinity;
      setState(server, "unknown");
    }
  }

  /** Takes one message of the socket. Returns the actions to send, mostly none. */
  receive(message, now) {
    const data = message?.data;
    if (typeof data !== "object" || data === null) {
      return [];
    }
    if (ANSWERS.has(message.type)) {
      return this.#answer(message, headersOf(data), now);
    }
    const server = this.#heard(message, now);
    if (message.type === BANNER) {
      return this.#reconnected(server, headersOf(data), now);
    }
    if (message.type === EVENT) {
      this.#event(server, data, now);
    }
    return [];
  }

  /** To be called a few times a second: forgets ended calls, asks who was quiet for long. */
  due(now) {
    const actions = [];
    for (const server of this.servers.values()) {
      if (server.calls.expire(now)) {
        this.version += 1;
      }
      if (this.connectedAt !== null) {
        actions.push(...this.#overdue(server, now));
      }
    }
    return actions;
  }

  /** True if the socket seems dead: it brought messages once, and asking brings none any more. */
  isDeaf(now) {
    const heard = [...this.servers.values()].map((server) => server.heardAt);
    const last = Math.max(...heard, 0);
    return this.connectedAt !== null && last > this.connectedAt && now - last > 2 * ANSWER_WITHIN;
  }

  #server(message) {
    let server = this.servers.get(message.server_id);
    if (!server) {
      server = newServer(message, this.openedAt, this.random());
      server.listedAt = this.connectedAt ?? 0; // when all servers were asked
      this.servers.set(server.id, server);
      this.version += 1;
    }
    if (message.server_name && server.name !== message.server_name) {
      server.name = String(message.server_name);
      this.version += 1;
    }
    server.isSecure = message.ssl === true;
    return server;
  }

  #heard(message, now) {
    const server = this.#server(message);
    server.heardAt = now;
    server.spokeAt = now;
    server.askedAt = null;
    if (setState(server, "connected")) {
      this.version += 1;
    }
    return server;
  }

  #reconnected(server, headers, now) {
    server.calls.forget();
    server.lists.clear();
    server.listedAt = now;
    server.notice = "";
    server.version = "";
    server.amiVersion = headers.get("version") ?? "";
    this.version += 1;
    return this.#questions(server.id);
  }

  #event(server, data, now) {
    const name = eventName(data);
    if (name === "coreshowchannelscomplete") {
      this.#listComplete(server, headersOf(data), now);
      return;
    }
    if (!server.calls.handles(name)) {
      return;
    }
    const headers = headersOf(data);
    server.calls.event(name, headers, now);
    this.version += 1;
    const list = name === "coreshowchannel" && server.lists.get(headers.get("actionid"));
    if (list && list.ids.size < MOST_LIST_ITEMS) {
      list.ids.add(headers.get("uniqueid"));
    }
  }

  #answer(message, headers, now) {
    const actionId = headers.get("actionid") ?? "";
    const isOurs = actionId.startsWith(`${this.prefix}-`);
    const isError = headers.get("response")?.toLowerCase() === "error";
    if (isOurs && isError) {
      this.#refused(message, actionId, headers.get("message") ?? "", now);
    } else if (!isError || this.servers.has(message.server_id)) {
      this.#learn(this.#heard(message, now), actionId, headers);
    }
    return [];
  }

  // Either Asterisk itself refuses, or amiws-gevent couldn't deliver and answers in its place.
  #refused(message, actionId, text, now) {
    const asked = actionId.split("-").at(-2);
    this.version += 1;
    if (asked !== "all" && Number(asked) !== message.server_id) {
      this.servers.delete(Number(asked)); // no server has this id any more
      return;
    }
    const server = REFUSED_BY_ASTERISK.test(text)
      ? this.#heard(message, now)
      : this.#server(message);
    if (now - server.spokeAt > JUST_SPOKE) {
      this.#lost(server, text, now);
    } else if (actionId.includes("-list-")) {
      server.notice = `Calls that were already up are not shown: ${text}`;
    }
  }

  #lost(server, reason, now) {
    server.heardAt = now;
    server.askedAt = null;
    server.reason = reason;
    server.notice = "";
    server.calls.forget();
    server.lists.clear();
    setState(server, "lost");
  }

  // Any page's questions: the answers are as true as those to ours.
  #learn(server, actionId, headers) {
    if (headers.get("eventlist")?.toLowerCase() === "start") {
      if (server.lists.size >= MOST_OPEN_LISTS) {
        server.lists.delete(server.lists.keys().next().value);
      }
      server.lists.set(actionId, { since: server.calls.changes, ids: new Set() });
    }
    if (headers.has("asteriskversion")) {
      server.version = headers.get("asteriskversion");
      server.amiVersion = headers.get("amiversion") || server.amiVersion;
      this.version += 1;
    }
    if (headers.has("corestartupdate")) {
      const time = (headers.get("corestartuptime") ?? "").slice(0, "hh:mm".length);
      server.startedAt = `${headers.get("corestartupdate")} ${time}`.trim();
      this.version += 1;
    }
  }

  // Only a list that was seen from its first line to its last says what is not there.
  #listComplete(server, headers, now) {
    const list = server.lists.get(headers.get("actionid"));
    server.lists.delete(headers.get("actionid"));
    const promised = headers.get("listitems");
    if (!list || (promised && Number(promised) !== list.ids.size)) {
      return;
    }
    server.listedAt = now;
    server.notice = "";
    server.calls.keepOnly(list.ids, list.since, now);
    this.version += 1;
  }

  #overdue(server, now) {
    if (server.askedAt !== null && now - server.askedAt > ANSWER_WITHIN) {
      this.version += setState(server, "silent") ? 1 : 0;
      return this.#askForLife(server, now);
    }
    if (server.askedAt === null && now - server.heardAt > patience(server)) {
      return this.#askForLife(server, now);
    }
    const age = now - server.listedAt;
    if (server.state === "connected" && age > LIST_EVERY + server.jitter * LIST_JITTER) {
      server.listedAt = now;
      return [this.#question("CoreShowChannels", "list", server.id)];
    }
    return [];
  }

  #askForLife(server, now) {
    server.askedAt = now;
    return [this.#question("CoreStatus", "status", server.id)];
  }

  #questions(serverId) {
    return [
      this.#question("CoreSettings", "settings", serverId),
      this.#question("CoreStatus", "status", serverId),
      this.#question("CoreShowChannels", "list", serverId),
    ];
  }

  // The ActionID carries the server that was asked, so that nothing has to be remembered.
  #question(action, kind, serverId) {
    this.asked += 1;
    const asked = serverId ?? "all";
    const question = { Action: action, ActionID: `${this.prefix}-${kind}-${asked}-${this.asked}` };
    return serverId === null ? question : { ...question, AMIServerID: serverId };
  }
}

function newServer(message, openedAt, jitter) {
  return {
    id: message.server_id,
    name: String(message.server_name ?? ""),
    isSecure: false,
    state: "unknown", // connected, lost, silent (asked, no answer), unknown
    reason: "",
    notice: "",
    version: "",
    amiVersion: "",
    startedAt: "", // in the server's own time zone, as it says it
    heardAt: 0, // when anything told how it is
    spokeAt: -Infinity, // when it said something itself
    askedAt: null,
    listedAt: 0,
    jitter, // 0 to 1
    lists: new Map(),
    calls: new Calls(openedAt),
  };
}

function setState(server, state) {
  const isNew = server.state !== state;
  server.state = state;
  if (state === "connected") {
    server.reason = "";
  }
  return isNew;
}

function patience(server) {
  return server.state === "lost"
    ? LOST_FOR + server.jitter * LOST_JITTER
    : QUIET_FOR + server.jitter * QUIET_JITTER;
}

// Names are matched without regard to case; nearly always it is "Event".
function eventName(data) {
  const name = data.Event ?? headersOf(data).get("event") ?? "";
  return String(name).toLowerCase();
}
