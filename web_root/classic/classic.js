// All channels on all servers, by the classic socket alone: docs/pages.md describes it.

/**
 * What the server sends.
 * @typedef {{ type: number, server_id: number, server_name: string, data: Record<string, string> }} Message
 */

const CONNECTED = 1; // types of messages
const EVENT = 3;
const ANSWER = 4;
const FIRST_WAIT = 1000; // milliseconds before the next attempt to connect
const LONGEST_WAIT = 30000;

// All clients get all answers: this says which are ours.
const actionId = `classic-${crypto.getRandomValues(new Uint32Array(1))}`;
/** @type {Map<string, Message>} The last message about each channel. */
const channels = new Map();
const body = /** @type {HTMLTableSectionElement} */ (document.getElementById("channels"));
let isDrawing = false;

/** @param {number} wait */
function connect(wait) {
  const address = new URL("../ws", location.href); // relative: a proxy may have all below a path
  address.protocol = address.protocol.replace(/^http/, "ws");
  const socket = new WebSocket(address);
  let hasOpened = false;
  /** @param {number} [server] One server; without it, all. */
  const ask = (server) =>
    socket.send(
      JSON.stringify({ Action: "CoreShowChannels", ActionID: actionId, AMIServerID: server }),
    );
  socket.onopen = () => {
    hasOpened = true;
    channels.clear();
    say("Connected", true);
    ask();
  };
  socket.onmessage = (event) => receive(JSON.parse(event.data), ask);
  socket.onclose = async () => {
    const pause = hasOpened ? FIRST_WAIT : wait;
    say("Not connected: this is how it was. Trying again …", false);
    // Partly by chance: after a restart of the server all pages come back at once.
    await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random())));
    if (!hasOpened) {
      // Has the browser log in, if that is why the socket was refused.
      await fetch("./", { cache: "no-store" }).catch(() => {});
    }
    connect(Math.min(pause * 2, LONGEST_WAIT));
  };
}

/**
 * @param {Message} message
 * @param {(server: number) => void} ask
 */
function receive(message, ask) {
  const { type, server_id: server, data } = message;
  if (type === CONNECTED) {
    forget(server);
    ask(server);
  } else if (type === ANSWER && data.ActionID === actionId) {
    say(data.Response === "Error" ? `${message.server_name}: ${data.Message}` : "Connected", true);
  } else if (type === EVENT && data.Channel) {
    // Versions of Asterisk differ in how they spell it.
    receiveEvent(message, `${server} ${data.Uniqueid ?? data.UniqueID}`);
  }
  draw();
}

/**
 * @param {Message} message
 * @param {string} key
 */
function receiveEvent(message, key) {
  const { Event: event } = message.data;
  const isOurs = event === "CoreShowChannel" && message.data.ActionID === actionId;
  if (event === "Newchannel" || event === "Newstate" || isOurs) {
    channels.set(key, message);
  } else if (event === "Hangup") {
    channels.delete(key);
  }
}

/** @param {number} server */
function forget(server) {
  for (const [key, message] of channels) {
    if (message.server_id === server) {
      channels.delete(key);
    }
  }
}

/**
 * @param {string} text
 * @param {boolean} isConnected
 */
function say(text, isConnected) {
  const status = /** @type {HTMLElement} */ (document.getElementById("status"));
  status.textContent = text;
  document.body.classList.toggle("stale", !isConnected);
}

// At most once a frame, however many events come.
function draw() {
  if (!isDrawing) {
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      body.replaceChildren(...[...channels.values()].map(row));
    });
  }
}

/** @param {Message} message */
function row({ server_name: server, data }) {
  const cells = [server, data.Channel, data.ChannelStateDesc, data.CallerIDNum, data.ConnectedLineNum];
  const made = document.createElement("tr");
  for (const text of cells) {
    // As text: the name of a caller is whatever a stranger sent.
    made.insertCell().textContent = text === "<unknown>" ? "" : (text ?? "");
  }
  return made;
}

connect(FIRST_WAIT);
