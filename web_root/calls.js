// The calls of one server, from the events that it sends. No DOM, no socket, no clock: `now`
// (milliseconds) is given.
//
// A call is all channels that share a Linkedid. Servers older than Asterisk 12 send none:
// there a channel starts a call of its own, and Dial and Bridge events join them.

import { DIALPLAN_EXTENSION, HELPER_CHANNEL, UP, newChannel, updateChannel } from "./channels.js";
import { partiesOf, peopleOf } from "./describe.js";
import { HANDLERS } from "./events.js";
import { parseDuration } from "./format.js";

// A server that never says Hangup (a filter on event names) must not fill the page's memory.
const MOST_CHANNELS = 4000;
const MOST_ENDED = 20;
const ENDED_SHOWN_FOR = 5000;

export class Calls {
  /** `openedAt`: calls that began before are shown, but not counted in `started`. */
  constructor(openedAt) {
    this.openedAt = openedAt;
    this.channels = new Map();
    this.calls = new Map();
    this.bridgeSizes = new Map();
    this.started = 0;
    this.isFull = false;
    this.alreadyCounted = new Set();
    this.changes = 0;
  }

  /** How many calls are up now. */
  get active() {
    let count = 0;
    for (const call of this.calls.values()) {
      count += call.endedAt === null ? 1 : 0;
    }
    return count;
  }

  /** True if events of this name (lower case) say something about calls. */
  handles(name) {
    return HANDLERS.has(name);
  }

  /** Takes an event that `handles` knows. */
  event(name, headers, now) {
    this.changes += 1;
    HANDLERS.get(name)(this, headers, now);
  }

  /** The server was lost or has restarted: what it had is no longer known. */
  forget() {
    if (this.alreadyCounted.size > MOST_CHANNELS) {
      this.alreadyCounted.clear();
    }
    for (const key of this.calls.keys()) {
      this.alreadyCounted.add(key);
    }
    this.channels.clear();
    this.calls.clear();
    this.bridgeSizes.clear();
    this.isFull = false;
  }

  /** Ends the channels that were there before change number `since` and are not in `listed`. */
  keepOnly(listed, since, now) {
    for (const channel of [...this.channels.values()]) {
      if (channel.createdIn <= since && !listed.has(channel.id)) {
        this.remove(channel, now);
      }
    }
    this.isFull = false;
    this.alreadyCounted.clear();
  }

  /** Drops calls that ended a while ago; true if there were any. */
  expire(now) {
    const ended = [...this.calls.values()].filter((call) => call.endedAt !== null);
    ended.sort((a, b) => b.endedAt - a.endedAt);
    const gone = ended.filter((call, i) => i >= MOST_ENDED || now - call.endedAt > ENDED_SHOWN_FOR);
    gone.forEach((call) => this.calls.delete(call.key));
    return gone.length > 0;
  }

  // What the handlers of events.js are made of.

  find(headers, prefix = "") {
    const channel = this.channels.get(headers.get(`${prefix}uniqueid`));
    if (channel) {
      this.refresh(channel, headers, prefix);
    }
    return channel;
  }

  findOrCreate(headers, prefix, now) {
    const id = headers.get(`${prefix}uniqueid`);
    if (!id || this.channels.has(id)) {
      return this.find(headers, prefix);
    }
    if (HELPER_CHANNEL.test(headers.get(`${prefix}channel`) ?? "")) {
      return undefined;
    }
    if (this.channels.size >= MOST_CHANNELS) {
      this.isFull = true;
      return undefined;
    }
    const channel = newChannel(id, now - parseDuration(headers.get("duration")), this.changes);
    this.channels.set(id, channel);
    this.moveTo(headers.get(`${prefix}linkedid`) || id, channel);
    this.refresh(channel, headers, prefix);
    return channel;
  }

  refresh(channel, headers, prefix) {
    updateChannel(channel, headers, prefix);
    const linkedid = headers.get(`${prefix}linkedid`);
    if (linkedid && linkedid !== channel.call.key) {
      this.moveTo(linkedid, channel); // bridged with an older call, which gives its id to both
    }
    const call = channel.call;
    call.wasUp ||= channel.state === UP;
    const isFirst = call.channels.values().next().value === channel;
    if (isFirst && !call.dialled && !DIALPLAN_EXTENSION.test(channel.exten)) {
      call.dialled = channel.exten;
    }
  }

  moveTo(key, channel) {
    const former = channel.call;
    if (former?.channels.size === 1) {
      this.calls.delete(former.key);
    }
    former?.channels.delete(channel);
    let call = this.calls.get(key);
    if (!call) {
      call = { ...newCall(key, channel.createdAt), dialled: former?.dialled ?? "" };
      this.calls.set(key, call);
      this.count(call);
    }
    call.channels.add(channel);
    call.startedAt = Math.min(call.startedAt, channel.createdAt);
    call.endedAt = null;
    channel.call = call;
  }

  count(call) {
    if (call.startedAt >= this.openedAt && !this.alreadyCounted.has(call.key)) {
      this.started += 1;
    }
  }

  // Two channels of a server without Linkedid are one call.
  join(one, other) {
    if (one && other && one.call !== other.call && !one.linkedid && !other.linkedid) {
      this.moveTo(one.call.key, other);
      this.started = Math.max(0, this.started - 1);
    }
  }

  setBridge(channel, bridge) {
    if (channel.bridge === bridge) {
      return;
    }
    const left = this.bridgeSizes.get(channel.bridge) - 1;
    if (left > 0) {
      this.bridgeSizes.set(channel.bridge, left);
    } else {
      this.bridgeSizes.delete(channel.bridge);
    }
    channel.bridge = bridge;
    if (bridge) {
      this.bridgeSizes.set(bridge, (this.bridgeSizes.get(bridge) ?? 0) + 1);
    }
  }

  isTalking(channel) {
    return (this.bridgeSizes.get(channel.bridge) ?? 0) > 1;
  }

  remove(channel, now) {
    const call = channel.call;
    this.setBridge(channel, "");
    this.channels.delete(channel.id);
    if (peopleOf(call).length > 1 || call.lastSeen === null) {
      call.lastSeen = partiesOf(this, call); // the last one alone doesn't tell who it talked to
    }
    call.channels.delete(channel);
    if (call.channels.size === 0) {
      call.endedAt = now;
    }
  }
}

function newCall(key, startedAt) {
  return {
    key,
    channels: new Set(),
    startedAt,
    endedAt: null,
    dialled: "",
    wasUp: false,
    cause: "",
    transferred: false,
    lastSeen: null,
  };
}
