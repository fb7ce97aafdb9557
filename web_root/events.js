// What each event means for the calls of its server.

import { endpointOf } from "./channels.js";

/**
 * Event names (lower case) and what each does with (calls, headers, now). Only events that cannot
 * follow a channel's Hangup may create one: a late one would raise the dead.
 */
export const HANDLERS = new Map(
  Object.entries({
    newchannel: create,
    newstate: create,
    newcallerid: refresh,
    newconnectedline: refresh,
    rename: (calls, headers) => {
      const channel = calls.find(headers);
      if (channel) {
        channel.name = headers.get("newname") || channel.name;
      }
    },
    newexten: (calls, headers) => {
      const channel = calls.find(headers);
      if (channel) {
        runs(channel, headers.get("application"));
      }
    },
    dialbegin: dialBegin,
    dial: oldDial,
    dialend: (calls, headers) => {
      calls.find(headers);
      calls.find(headers, "dest");
    },
    bridgeenter: (calls, headers, now) => {
      const channel = calls.findOrCreate(headers, "", now);
      if (channel && headers.get("bridgetype") !== "holding") {
        calls.setBridge(channel, headers.get("bridgeuniqueid") ?? "");
        channel.queue = "";
      }
    },
    bridgeleave: (calls, headers) => {
      const channel = calls.find(headers);
      if (channel) {
        calls.setBridge(channel, "");
      }
    },
    bridge: oldBridge,
    link: oldBridge,
    unlink: oldBridge,
    hold: (calls, headers) => hold(calls, headers, headers.get("status") !== "Off"),
    unhold: (calls, headers) => hold(calls, headers, false),
    queuecallerjoin: (calls, headers) => queue(calls, headers, headers.get("queue") ?? ""),
    queuecallerleave: (calls, headers) => queue(calls, headers, ""),
    join: (calls, headers) => queue(calls, headers, headers.get("queue") ?? ""),
    leave: (calls, headers) => queue(calls, headers, ""),
    agentcalled: agent,
    agentconnect: agent,
    confbridgejoin: (calls, headers) => confer(calls, headers, headers.get("conference") ?? ""),
    confbridgeleave: (calls, headers) => confer(calls, headers, ""),
    blindtransfer: transfer,
    attendedtransfer: transfer,
    hangup: (calls, headers, now) => {
      const channel = calls.find(headers);
      if (channel) {
        channel.call.cause = headers.get("cause") ?? "";
        calls.remove(channel, now);
      }
    },
    coreshowchannel: listed,
  }),
);

function create(calls, headers, now) {
  calls.findOrCreate(headers, "", now);
}

function refresh(calls, headers) {
  calls.find(headers);
}

function runs(channel, application = "") {
  channel.application = application;
  channel.isCallee ||= /^App(Dial|Queue)$/i.test(application);
  if (application.toLowerCase() !== "queue") {
    channel.queue = "";
  }
}

// With no calling channel it is an Originate, whose first leg is rung by nobody: it is the caller.
function dialBegin(calls, headers, now) {
  const caller = calls.findOrCreate(headers, "", now);
  const callee = calls.findOrCreate(headers, "dest", now);
  if (caller && callee) {
    callee.isCallee = true;
  }
}

// Before Asterisk 12: ids but no states, and no Linkedid.
function oldDial(calls, headers) {
  const caller = calls.find(headers);
  const callee = calls.channels.get(headers.get("destuniqueid"));
  if (caller && callee && headers.get("subevent") !== "End") {
    callee.isCallee = true;
    calls.join(caller, callee);
  }
}

function oldBridge(calls, headers) {
  const one = calls.channels.get(headers.get("uniqueid1"));
  const other = calls.channels.get(headers.get("uniqueid2"));
  if (!one || !other) {
    return;
  }
  const linked = (headers.get("bridgestate") || headers.get("event")).toLowerCase() === "link";
  calls.setBridge(one, linked ? one.id : "");
  calls.setBridge(other, linked ? one.id : "");
  calls.join(one, other);
}

function hold(calls, headers, onHold) {
  const channel = calls.find(headers);
  if (channel) {
    channel.onHold = onHold;
  }
}

function queue(calls, headers, name) {
  const channel = calls.find(headers);
  if (channel) {
    channel.queue = name;
  }
}

function confer(calls, headers, name) {
  const channel = calls.find(headers);
  if (channel) {
    channel.conference = name;
  }
}

function agent(calls, headers) {
  const channel = calls.find(headers, "dest");
  if (channel) {
    const number = endpointOf(headers.get("interface") ?? "");
    channel.isCallee = true;
    channel.member = { name: headers.get("membername") ?? "", number };
  }
}

// Of an attended transfer's two calls the elder lives on: both channels name it by their Linkedid.
function transfer(calls, headers) {
  const staying = calls.find(headers, "transferee");
  calls.find(headers, "transfertarget");
  if (staying && headers.get("result") === "Success") {
    staying.call.transferred = true;
    staying.call.dialled = headers.get("extension") || staying.call.dialled;
  }
}

function listed(calls, headers, now) {
  const channel = calls.findOrCreate(headers, "", now);
  if (!channel) {
    return;
  }
  const application = headers.get("application") ?? "";
  const [firstArgument] = (headers.get("applicationdata") ?? "").split(",");
  const other = headers.get("bridgeduniqueid"); // before Asterisk 12
  const bridge = other ? [channel.id, other].sort()[0] : headers.get("bridgeid");
  runs(channel, application);
  calls.setBridge(channel, bridge ?? "");
  if (/^queue$/i.test(application) && !bridge) {
    channel.queue = firstArgument;
  }
  if (/^confbridge$/i.test(application)) {
    channel.conference = firstArgument;
  }
}
