// What a call is doing, and who talks to whom: drawn from its channels when it is shown.

import { RINGING, UP, endpointOf } from "./channels.js";

/** What a call is doing: { kind, label, detail }; `kind` is one of the keys of style.css. */
export function stateOf(calls, call) {
  if (call.endedAt !== null) {
    return { kind: "ended", label: endOf(call), detail: "" };
  }
  const channels = [...call.channels];
  const conference = channels.find((channel) => channel.conference)?.conference;
  const waiting = channels.find((channel) => channel.queue)?.queue;
  if (channels.some((channel) => channel.onHold)) {
    return { kind: "hold", label: "On hold", detail: "" };
  }
  if (conference) {
    return { kind: "talking", label: "In conference", detail: conference };
  }
  if (channels.some((channel) => calls.isTalking(channel))) {
    return { kind: "talking", label: "Talking", detail: "" };
  }
  if (waiting) {
    return { kind: "queue", label: "In queue", detail: waiting };
  }
  if (channels.some(isRinging)) {
    return { kind: "ringing", label: "Ringing", detail: "" };
  }
  const answered = channels.find((channel) => channel.state === UP);
  return answered
    ? { kind: "answered", label: "Answered", detail: answered.application }
    : { kind: "dialling", label: "Dialling", detail: "" };
}

function endOf(call) {
  if (call.wasUp) {
    return "Ended";
  }
  return call.cause === "17" ? "Busy" : "Not answered"; // 17: user busy (ITU-T Q.850)
}

function isRinging(channel) {
  return channel.state === RINGING || (channel.isCallee && channel.state !== UP);
}

/**
 * Who calls whom: { from: { name, number, line }, to: { name, number, more } }, "" for unknown.
 * `line`: the trunk or phone that the call comes in on; `more`: how many other phones ring.
 */
export function partiesOf(calls, call) {
  if (call.lastSeen && isLeftByCaller(calls, call)) {
    return call.lastSeen;
  }
  const people = peopleOf(call);
  const channels = (people.length > 0 ? people : [...call.channels]).sort(
    (a, b) => a.createdAt - b.createdAt || byAge(a.id, b.id),
  );
  const caller = channels.find((channel) => !channel.isCallee) ?? channels[0];
  const others = channels.filter((channel) => channel !== caller && !isSameLocal(caller, channel));
  const callee = best(calls, others);
  const line = endpointOf(caller.name);
  const from = { name: caller.callerName, number: caller.callerNumber, line };
  if (!callee) {
    return { from, to: calledBy(caller, call) };
  }
  const ringing = others.filter(isRinging).length;
  const more = isRinging(callee) ? ringing - 1 : 0;
  return { from, to: { ...party(callee, caller, call), more } };
}

/** The channels of a call that are people's; Local ones are pipes between channels. */
export function peopleOf(call) {
  return [...call.channels].filter((channel) => !channel.name.startsWith("Local/"));
}

// Only phones that were rung are left, and after a transfer two of those may talk.
function isLeftByCaller(calls, call) {
  const people = peopleOf(call);
  const talking = people.filter((channel) => calls.isTalking(channel)).length;
  const isTransferred = call.transferred && people.length > 0;
  return !isTransferred && talking < 2 && people.every((channel) => channel.isCallee);
}

// Nobody has been rung yet: what was dialled, else whom the caller's phone shows.
function calledBy(caller, call) {
  if (call.dialled) {
    return { name: "", number: call.dialled, more: 0 };
  }
  const isOther = caller.connectedNumber && caller.connectedNumber !== caller.callerNumber;
  return isOther
    ? { name: caller.connectedName, number: caller.connectedNumber, more: 0 }
    : { name: "", number: "", more: 0 };
}

function party(callee, caller, call) {
  if (callee.member) {
    return { name: callee.member.name, number: callee.member.number };
  }
  const isCopied = callee.callerNumber === caller.callerNumber; // Originate writes it on all legs
  return isCopied
    ? { name: "", number: call.dialled || endpointOf(callee.name) }
    : { name: callee.callerName, number: callee.callerNumber || endpointOf(callee.name) };
}

// The one who talks, else who has answered, else who rings.
function best(calls, channels) {
  const rank = (channel) => (calls.isTalking(channel) ? 2 : 0) + (channel.state === UP ? 1 : 0);
  return channels.reduce((a, b) => (a && rank(a) >= rank(b) ? a : b), undefined);
}

// The two halves of a Local channel are one pipe, not two people.
function isSameLocal(one, other) {
  return one.name.startsWith("Local/") && one.name.split(";")[0] === other.name.split(";")[0];
}

// Uniqueid is "[system-]seconds.counter".
function byAge(one, other) {
  return Number(one.split(".").pop()) - Number(other.split(".").pop());
}
