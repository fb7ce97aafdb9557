// The classic socket, kept open: it comes back by itself, ever more slowly, never in step with
// other pages.

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;
const STEADY_AFTER = 10000; // open for so long, the next loss starts with the first wait again
const OPEN_WITHIN = 15000;

export class Connection {
  /**
   * `onOpen()`, `onMessage(message)` and `onClose()`: a socket that opened lives and ends;
   * `onChange()`: `status` has changed.
   */
  constructor({ url, page, onOpen, onMessage, onClose, onChange }) {
    Object.assign(this, { url, page, onOpen, onMessage, onClose, onChange });
    this.status = { kind: "connecting", until: null, reason: "" };
    this.socket = null;
    this.timer = null;
    this.failures = 0;
    this.hasOpened = false;
  }

  /** Opens the socket; after an attempt that was refused it has the browser log in first. */
  async connect() {
    clearTimeout(this.timer);
    this.#change("connecting");
    const refused = this.failures > 0 && !this.hasOpened ? await this.#logIn() : "";
    if (refused) {
      this.#retryLater(refused);
      return;
    }
    this.#openSocket();
  }

  /** Tries at once instead of at the end of the wait. */
  hurry() {
    if (this.status.kind === "waiting") {
      this.connect();
    }
  }

  send(action) {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(action));
    }
  }

  /** Gives up a socket that seems dead. */
  drop() {
    this.socket?.close();
    this.#lost(this.socket, "the connection went quiet");
  }

  #openSocket() {
    const socket = new WebSocket(this.url);
    let openedAt = null;
    this.socket = socket;
    this.hasOpened = false;
    this.timer = setTimeout(() => this.drop(), OPEN_WITHIN);
    socket.addEventListener("open", () => {
      clearTimeout(this.timer);
      openedAt = Date.now();
      this.hasOpened = true;
      this.#change("open");
      this.onOpen();
    });
    socket.addEventListener("message", (event) => {
      if (socket === this.socket) {
        this.onMessage(parse(event.data));
      }
    });
    socket.addEventListener("close", (event) => {
      if (openedAt !== null && Date.now() - openedAt > STEADY_AFTER) {
        this.failures = 0;
      }
      this.#lost(socket, event.reason);
    });
  }

  #lost(socket, reason) {
    if (socket !== this.socket || socket === null) {
      return;
    }
    this.socket = null;
    if (this.hasOpened) {
      this.onClose();
    }
    this.#retryLater(reason);
  }

  #retryLater(reason) {
    clearTimeout(this.timer);
    const longest = Math.min(FIRST_WAIT * 2 ** this.failures, LONGEST_WAIT);
    const wait = longest * (0.5 + Math.random() / 2);
    this.failures += 1;
    this.timer = setTimeout(() => this.connect(), wait);
    this.#change("waiting", reason, Date.now() + wait);
  }

  // A socket that is refused doesn't tell a page why, and cannot ask for a password. Loading the
  // page can: the browser answers the challenge, and the cookie that the socket needs is set.
  async #logIn() {
    try {
      const signal = AbortSignal.timeout(OPEN_WITHIN);
      const answer = await fetch(this.page, { cache: "no-store", signal });
      return answer.status === 401 ? "a login is needed: reload this page" : "";
    } catch {
      return "no answer";
    }
  }

  #change(kind, reason = "", until = null) {
    this.status = { kind, reason, until };
    this.onChange();
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not from amiws-gevent, which sends nothing but JSON
  }
}
