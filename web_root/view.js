// Draws the model. Every text goes in by textContent: a caller's name is whatever a stranger sent.
// Elements are kept by key and changed where they differ, never rebuilt.

import { partiesOf, stateOf } from "./describe.js";
import { counted, duration, phoneNumber, timeOfDay } from "./format.js";

const MOST_ROWS = 200;
const TALLY_ORDER = ["ringing", "dialling", "queue", "answered", "talking", "hold"];
const TALLY_WORDS = {
  ringing: "ringing",
  dialling: "dialling",
  queue: "in queue",
  answered: "answered",
  talking: "talking",
  hold: "on hold",
};
const LINK_WORDS = {
  connecting: "Connecting",
  open: "Live",
  waiting: "Not connected",
};
const SERVER_WORDS = {
  connected: "Connected",
  lost: "Not connected",
  silent: "No answer",
  unknown: "Unknown",
};

export class View {
  /** `onHurry()` is called when the reader doesn't want to wait for the next attempt. */
  constructor(page, { onHurry }) {
    this.page = page;
    this.serverCards = new Map();
    this.rows = new Map();
    this.tallyItems = new Map();
    this.drawnVersion = -1;
    this.drawnSecond = -1;
    this.wasOpen = false;
    this.#get("hurry").addEventListener("click", onHurry);
  }

  /** True if drawing now would show something else than the last time. */
  isStale(model, now) {
    return model.version !== this.drawnVersion || Math.floor(now / 1000) !== this.drawnSecond;
  }

  draw(model, link, now) {
    this.drawnVersion = model.version;
    this.drawnSecond = Math.floor(now / 1000);
    const calls = callsOf(model);
    this.#drawLink(model, link, now);
    this.#drawServers(model);
    this.#drawTally(calls);
    this.#drawCalls(calls, model, model.closedAt ?? now);
    put(this.#get("clock"), new Date(now).toLocaleTimeString());
  }

  #get(id) {
    return this.page.getElementById(id);
  }

  #copy(id) {
    return this.#get(id).content.firstElementChild.cloneNode(true);
  }

  #drawLink(model, link, now) {
    this.wasOpen ||= link.kind === "open";
    this.page.body.dataset.link = link.kind;
    put(this.#get("link"), LINK_WORDS[link.kind]);
    const isLost = link.kind !== "open" && (this.wasOpen || link.kind === "waiting");
    this.#get("alert").hidden = !isLost;
    if (!isLost) {
      return;
    }
    const seconds = Math.max(0, Math.ceil((link.until - now) / 1000));
    const reason = link.reason ? ` (${link.reason})` : "";
    const what = this.wasOpen ? "The connection to amiws-gevent was lost" : "Could not connect";
    put(this.#get("alert-what"), `${what}${reason}.`);
    const isWaiting = link.kind === "waiting";
    put(this.#get("alert-when"), isWaiting ? `Reconnecting in ${seconds} s.` : "Reconnecting …");
    const since = model.closedAt === null ? "" : new Date(model.closedAt).toLocaleTimeString();
    put(this.#get("alert-since"), since && `What you see is as of ${since}.`);
    this.#get("hurry").hidden = !isWaiting;
  }

  #drawServers(model) {
    const servers = [...model.servers.values()].sort((a, b) => a.id - b.id);
    const isAlone = servers.length === 0;
    this.#get("no-servers").hidden = !isAlone;
    if (isAlone) {
      put(this.#get("no-servers"), noServersText(model));
    }
    const since = `since ${timeOfDay(model.openedAt)}`;
    this.#keyed(this.#get("servers"), this.serverCards, servers, "server-template", {
      key: (server) => server.id,
      draw: (card, server) => drawServer(card, server, since),
    });
  }

  #drawTally(calls) {
    const counts = new Map();
    for (const { state } of calls) {
      counts.set(state.kind, (counts.get(state.kind) ?? 0) + 1);
    }
    const shown = TALLY_ORDER.filter((kind) => counts.has(kind));
    const list = this.#get("tally");
    for (const [kind, item] of this.tallyItems) {
      item.hidden = !counts.has(kind);
    }
    for (const kind of shown) {
      if (!this.tallyItems.has(kind)) {
        const item = this.page.createElement("li");
        item.dataset.state = kind;
        this.tallyItems.set(kind, item);
      }
      const item = this.tallyItems.get(kind);
      put(item, `${counts.get(kind).toLocaleString()} ${TALLY_WORDS[kind]}`);
    }
    TALLY_ORDER.filter((kind) => this.tallyItems.has(kind)).forEach((kind, place) => {
      const item = this.tallyItems.get(kind);
      if (list.children[place] !== item) {
        list.insertBefore(item, list.children[place] ?? null);
      }
    });
  }

  #drawCalls(calls, model, now) {
    const active = calls.filter(({ call }) => call.endedAt === null).length;
    const isEmpty = calls.length === 0;
    put(this.#get("calls-heading"), active ? counted(active, "active call") : "Active calls");
    put(this.page.querySelector("title"), `${active ? `(${active}) ` : ""}Live calls – amiws-gevent`);
    this.#get("calls").hidden = isEmpty;
    this.#get("no-calls").hidden = !isEmpty;
    if (isEmpty) {
      put(this.#get("no-calls"), noCallsText(model));
    }
    const hidden = calls.length - MOST_ROWS;
    this.#get("more").hidden = hidden <= 0;
    put(this.#get("more"), `and ${counted(hidden, "older call")}`);
    this.#keyed(this.#get("rows"), this.rows, calls.slice(0, MOST_ROWS), "call-template", {
      key: ({ server, call }) => `${server.id} ${call.key}`,
      draw: (row, shown) => drawCall(row, shown, now),
    });
  }

  // Makes the children of `parent` those of `items`, in order, moving only what is out of place.
  #keyed(parent, drawn, items, template, { key, draw }) {
    const wanted = new Set(items.map(key));
    for (const [name, element] of drawn) {
      if (!wanted.has(name)) {
        element.remove();
        drawn.delete(name);
      }
    }
    let next = parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      if (!drawn.has(name)) {
        drawn.set(name, this.#copy(template));
      }
      const element = drawn.get(name);
      draw(element, item);
      if (element === next) {
        next = next.nextElementSibling;
      } else {
        parent.insertBefore(element, next);
      }
    }
  }
}

function callsOf(model) {
  const shown = [];
  for (const server of model.servers.values()) {
    for (const call of server.calls.calls.values()) {
      const state = stateOf(server.calls, call);
      shown.push({ server, call, state });
    }
  }
  return shown.sort((a, b) => b.call.startedAt - a.call.startedAt);
}

function drawServer(card, server, since) {
  card.dataset.state = server.state;
  put(card.querySelector("h3"), server.name || `Server ${server.id}`);
  put(card.querySelector(".condition"), SERVER_WORDS[server.state]);
  put(card.querySelector(".about"), aboutServer(server));
  const isKnown = server.state === "connected" || server.calls.active > 0;
  put(card.querySelector(".active"), isKnown ? server.calls.active.toLocaleString() : "–");
  put(card.querySelector(".since"), `New ${since}`);
  put(card.querySelector(".started"), server.calls.started.toLocaleString());
  const note = card.querySelector(".note");
  put(note, server.reason || noteOf(server));
  note.hidden = !note.textContent;
}

function noteOf(server) {
  if (server.state === "silent") {
    return "It was asked and does not answer: what is shown may be out of date.";
  }
  return server.calls.isFull ? "This server has more calls than this page follows." : server.notice;
}

// A build without version control calls its version UNKNOWN__and_probably_unsupported.
function aboutServer(server) {
  const version = /^unknown/i.test(server.version) ? "" : server.version;
  return [
    version ? `Asterisk ${version}` : server.amiVersion && `AMI ${server.amiVersion}`,
    server.isSecure && "TLS",
    server.startedAt && `up since ${server.startedAt}`,
  ]
    .filter(Boolean)
    .map(inOneLine)
    .join(", ");
}

// With hyphens and blanks at which no line breaks.
function inOneLine(text) {
  return text.replaceAll("-", "\u2011").replaceAll(" ", "\u00a0");
}

function drawCall(row, { server, call, state }, now) {
  const { from, to } = partiesOf(server.calls, call);
  row.dataset.state = state.kind;
  put(row.querySelector(".chip"), state.label);
  put(row.querySelector(".detail"), call.transferred ? "transferred" : state.detail);
  drawParty(row.querySelector(".from"), from, "Unknown caller");
  drawParty(row.querySelector(".to"), to, "Not known yet");
  put(row.querySelector(".on"), server.name);
  put(row.querySelector(".time"), duration((call.endedAt ?? now) - call.startedAt));
}

function drawParty(cell, { name, number, line = "", more = 0 }, unknown) {
  const legible = phoneNumber(number);
  const others = more > 0 ? ` and ${more} more` : "";
  const hasName = name && name !== number;
  const below = hasName ? legible : "";
  put(cell.querySelector(".who"), (hasName ? name : legible || unknown) + others);
  put(cell.querySelector(".number"), number ? below : line && `on ${line}`);
  cell.title = [name, number].filter(Boolean).join(" ");
}

function noServersText(model) {
  return model.connectedAt === null
    ? "Not connected to amiws-gevent yet: its servers show here as soon as it answers."
    : "No server has answered yet. Each one shows here as soon as amiws-gevent hears from it.";
}

function noCallsText(model) {
  const servers = [...model.servers.values()];
  return servers.some((server) => server.state === "connected")
    ? "No calls right now. A call shows here the moment that a phone rings."
    : "No server is connected, so there are no calls to show.";
}

// Writing a text that is already there would cost a layout.
function put(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
