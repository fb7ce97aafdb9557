// A channel: one leg of a call, as the headers of events describe it.

// Channel states of Asterisk (include/asterisk/channelstate.h) that matter here.
export const RINGING = 5;
export const UP = 6;
const STATE_NUMBERS = new Map([
  ["down", 0],
  ["dialing", 3],
  ["ring", 4],
  ["ringing", RINGING],
  ["up", UP],
]);

// Channels that Asterisk makes for itself (announcers, recorders, message queue): nobody's call.
export const HELPER_CHANNEL = /^(CBAnn|CBRec|Announcer|Recorder|Surrogate|AsyncGoto|Message)\/|\/pseudo/i;

// Extensions of the dialplan that nobody dials: start, hang-up, invalid, time-out and the like.
export const DIALPLAN_EXTENSION = /^([shiteoaT]|fax|failed|~~s~~)?$/;

const CHANNEL_FIELDS = [
  ["name", "channel"],
  ["callerNumber", "calleridnum"],
  ["callerName", "calleridname"],
  ["connectedNumber", "connectedlinenum"],
  ["connectedName", "connectedlinename"],
  ["exten", "exten"],
  ["linkedid", "linkedid"],
];

/** Headers by lower-case name, the first of those that repeat, "" for what Asterisk doesn't know. */
export function headersOf(data) {
  const headers = new Map();
  for (const [name, value] of Object.entries(data)) {
    const key = name.toLowerCase();
    if (!headers.has(key)) {
      const first = Array.isArray(value) ? value[0] : value;
      headers.set(key, first === "<unknown>" || first === "(null)" ? "" : String(first ?? ""));
    }
  }
  return headers;
}

/** "PJSIP/201-0000002a", "Local/201@queue-0001;1", "Local/201@queue/n": the endpoint is "201". */
export function endpointOf(channelName) {
  const match = /^[^/]+\/(?:[^/@]*\/)?([^@;/]+?)(?:-[0-9a-f]+)?(?:[@;].*)?$/i.exec(channelName);
  return match ? match[1] : "";
}

export function newChannel(id, createdAt, createdIn) {
  return {
    id,
    createdAt,
    createdIn,
    name: "",
    callerNumber: "",
    callerName: "",
    connectedNumber: "",
    connectedName: "",
    exten: "",
    linkedid: "",
    state: 0,
    call: null,
    bridge: "",
    isCallee: false, // somebody's Dial, Queue or Originate made it ring
    member: null, // the queue member that it rings: { name, number }
    onHold: false,
    queue: "",
    conference: "",
    application: "",
  };
}

/** Takes over what `headers` say of the channel, those names that begin with `prefix`. */
export function updateChannel(channel, headers, prefix) {
  for (const [field, header] of CHANNEL_FIELDS) {
    channel[field] = headers.get(prefix + header) ?? channel[field];
  }
  const described = headers.get(`${prefix}channelstatedesc`)?.toLowerCase();
  const number = headers.get(`${prefix}channelstate`) ?? STATE_NUMBERS.get(described);
  channel.state = Number(number ?? channel.state);
}
