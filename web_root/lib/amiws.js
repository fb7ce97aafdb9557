// The state of Asterisk servers, their events and actions, for pages: subprotocol amiws.v2.
//
// An ES module without dependencies. `new Amiws()` connects and stays connected; `subscribe` gives
// a collection that is kept up to date over lost connections, restarts and gaps; `action` asks a
// server. docs/pages.md has a wallboard made with it, docs/protocol.md says what is on the wire.

const SUBPROTOCOL = "amiws.v2";

/** Where the program is: a proxy may serve all of it below a path. */
const ROOT = rootOf(new URL(import.meta.url));

const FIRST_WAIT = 2000; // milliseconds, and so are all here
const LONGEST_WAIT = 30000;
const REFUSED_WAIT = 60000; // somebody has to log in, or to change the configuration
const LOGGED_OUT = 4410; // the close code after which nothing is tried unasked
const HURRY_WITHIN = 1000; // all pages of a network are told at once that it is back
const STEADY_AFTER = 10000; // live for so long: the next loss starts with the first wait again
const HELLO_WITHIN = 15000;
const MISSED_BEATS = 2.5; // two did not come, and the next is late
const BUSY_GRACE = 1000; // a page that was busy first reads what has come meanwhile
const ACTION_GRACE = 10000; // the server keeps an action's time limit; this is for its answer
const HIDDEN_FRAME = 1000; // hidden pages have no animation frames

/**
 * @param {URL} file this one, or what it was bundled into
 */
function rootOf(file) {
  const isBeside = file.origin === location.origin && /\/lib\/[^/]+$/.test(file.pathname);
  return isBeside ? new URL("../", file) : new URL("/", location.href);
}

/** @typedef {"state" | "events"} Stream */

/**
 * What a subscription takes in: each a value or a list, of which one has to match.
 *
 * @typedef {object} Filters
 * @property {number | number[]} [server] ids of servers; 0 is amiws-gevent itself
 * @property {string | string[]} [kind] kinds of entities: "call", "channel", "queue" …
 * @property {string | string[]} [event] names of events; narrows events alone
 * @property {string | string[]} [queue]
 * @property {string | string[]} [extension]
 * @property {string | string[]} [context]
 */

/**
 * What a thing on a server is like. Objects of this kind are never changed: a change makes a new
 * one. Texts in it are what a stranger sent; show them with `textContent`.
 *
 * @typedef {{ readonly server: number, readonly kind: string, readonly id: string,
 *   readonly [field: string]: any }} Entity
 */

/**
 * What has become of an entity since the changes before.
 *
 * @typedef {object} Change
 * @property {number} server
 * @property {string} kind
 * @property {string} id
 * @property {Entity | null} before null: it was not there
 * @property {Entity | null} now null: it is gone
 * @property {Record<string, any> | null} last of one that is gone: its last words, if it had some
 */

/**
 * Something was left out of a stream. After one of `state` the collection is read anew.
 *
 * @typedef {object} Gap
 * @property {Stream} stream
 * @property {string} reason "connection": this page could not say where it was; else the server's
 * @property {number | null} lost how many events; null: unknown
 * @property {number | null} server the one that it is of; null: all
 */

/**
 * A message of a server as on the classic socket.
 *
 * @typedef {object} ClassicMessage
 * @property {number} type
 * @property {number} server_id
 * @property {string} server_name
 * @property {boolean} ssl
 * @property {Record<string, any>} data the headers
 */

/** @typedef {string | number | boolean | null} HeaderValue */

/** @typedef {Record<string, HeaderValue | HeaderValue[]>} Headers the headers of an action */

/**
 * What became of an action on one server.
 *
 * @typedef {object} Reply
 * @property {number} server
 * @property {"answered" | "refused" | "unknown" | "timeout" | "unreachable"} outcome "unknown": the
 *   server may have done it
 * @property {Record<string, any> | null} response
 * @property {Record<string, any>[]} items of a list
 * @property {Record<string, any> | null} end the event that ended the list
 * @property {boolean} complete whether all has come that was to come
 * @property {string} reason for people
 * @property {string[]} [output] of a Command
 * @property {string | null} [channel] of an Originate
 * @property {string | null} [uniqueid] of an Originate
 * @property {string | null} [call] of an Originate
 */

/**
 * @typedef {object} ActionOptions
 * @property {number} [timeout] seconds; what has come until then is the reply
 * @property {boolean} [wait] of an Originate: reply when it is known whether it was answered
 * @property {string} [idempotencyKey] the same key again gives the first reply again
 * @property {AbortSignal} [signal] stops waiting; an action that was sent is not called back
 * @property {(reply: Reply) => void} [onReply] each reply as it comes
 */

/**
 * How it stands with the connection. "refused": a login is needed (`code` 401), or this page may
 * not connect (403), or the viewer has logged out (close code 4410). "lost" and "refused" try again
 * by themselves, at `retryAt`; after a logout only `reconnect()` does, and asks for a login.
 *
 * @typedef {object} Status
 * @property {"connecting" | "live" | "lost" | "refused" | "closed"} state
 * @property {string} reason for people: why it is not live, also while it connects again; empty while
 *   all is well
 * @property {number | null} code the close code, or the status of HTTP
 * @property {number | null} retryAt when the next attempt is, by `Date.now()`
 */

/**
 * @typedef {object} Hello
 * @property {string} version
 * @property {number} time
 * @property {number} heartbeat milliseconds
 * @property {string | null} user
 * @property {string[]} features
 * @property {Record<string, number>} limits
 * @property {Record<string, any>} may
 * @property {Entity[]} servers
 */

/** A request that was not done; `code` is one of docs/protocol.md, or "not_connected". */
export class AmiwsError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {number | null} [retryAfter]
   */
  constructor(code, message, retryAfter = null) {
    super(message);
    this.name = "AmiwsError";
    this.code = code;
    /** Seconds after which the same request may succeed; null: it will not. */
    this.retryAfter = retryAfter;
  }
}

/** @template {Record<string, any>} Told */
class Handlers {
  /** @type {Map<keyof Told, Set<(what: any) => void>>} */
  #handlers = new Map();

  /**
   * @template {keyof Told} Name
   * @param {Name} name
   * @param {(what: Told[Name]) => void} handler
   * @param {{ signal?: AbortSignal }} options
   * @returns {() => void}
   */
  add(name, handler, { signal }) {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers);
    const remove = () => void handlers.delete(handler);
    if (!signal?.aborted) {
      handlers.add(handler);
      signal?.addEventListener("abort", remove, { once: true });
    }
    return remove;
  }

  /**
   * A handler that throws keeps nothing from the others.
   *
   * @template {keyof Told} Name
   * @param {Name} name
   * @param {Told[Name]} what
   * @returns {boolean} whether anybody was told
   */
  tell(name, what) {
    const handlers = [...(this.#handlers.get(name) ?? [])];
    for (const handler of handlers) {
      try {
        handler(what);
      } catch (error) {
        reportError(error);
      }
    }
    return handlers.length > 0;
  }
}

/**
 * @typedef {(key: string, before: Entity | null, now: Entity | null,
 *   last: Record<string, any> | null) => void} Note
 */

/**
 * The entities of a subscription, kept from `snapshot` and `state`.
 *
 * The pages of a snapshot make a whole. What changes while they come is kept aside, the latest of
 * each entity, and merged over it at its end; until then all stays as it was.
 */
class Collection {
  /** @type {Map<string, Entity>} */
  items = new Map();

  /**
   * @type {{ next: number, items: Map<string, Entity>,
   *   changed: Map<string, { isWhole: boolean, entity: Entity | null }> } | null}
   */
  #incoming = null;
  #note;

  /** @param {Note} note */
  constructor(note) {
    this.#note = note;
  }

  /** Whether pages of a snapshot are still to come. */
  get isLoading() {
    return this.#incoming !== null;
  }

  /** The connection is lost: what was half read is worth nothing. */
  forgetPages() {
    this.#incoming = null;
  }

  /** @param {Entity} name */
  static key({ server, kind, id }) {
    return `${server} ${kind} ${id}`;
  }

  /** @param {{ page: number, pages: number, items: Entity[] }} message */
  snapshot({ page, pages, items }) {
    if (page === 1) {
      this.#incoming = { next: 1, items: new Map(), changed: new Map() };
    }
    const incoming = this.#incoming;
    if (incoming === null || page !== incoming.next) {
      return; // of a snapshot whose beginning this client has given up
    }
    incoming.next += 1;
    for (const entity of items) {
      incoming.items.set(Collection.key(entity), entity);
    }
    if (page >= pages) {
      this.#incoming = null;
      this.#replace(merged(incoming.items, incoming.changed));
    }
  }

  /** @param {{ set?: Entity[], unset?: (Entity & { last?: Record<string, any> })[] }} message */
  state({ set = [], unset = [] }) {
    if (this.#incoming !== null) {
      for (const entity of set) {
        this.#setAside(Collection.key(entity), entity);
      }
      for (const name of unset) {
        this.#setAside(Collection.key(name), null);
      }
      return;
    }
    for (const entity of set) {
      const key = Collection.key(entity);
      const before = this.items.get(key) ?? null;
      this.#put(key, before, before === null ? entity : { ...before, ...entity }, null);
    }
    for (const name of unset) {
      const key = Collection.key(name);
      this.#put(key, this.items.get(key) ?? null, null, name.last ?? null);
    }
  }

  /**
   * @param {string} key
   * @param {Entity | null} entity
   */
  #setAside(key, entity) {
    const changed = this.#incoming?.changed;
    const before = changed?.get(key);
    if (entity === null || before === undefined) {
      changed?.set(key, { isWhole: entity === null, entity });
    } else {
      // After an unset it is new to the view, so that it comes whole.
      changed?.set(key, { isWhole: before.isWhole, entity: { ...before.entity, ...entity } });
    }
  }

  /** @param {Map<string, Entity>} items */
  #replace(items) {
    const former = this.items;
    this.items = items;
    for (const [key, before] of former) {
      if (!items.has(key)) {
        this.#note(key, before, null, null);
      }
    }
    for (const [key, now] of items) {
      const before = former.get(key) ?? null;
      if (before !== null && JSON.stringify(before) === JSON.stringify(now)) {
        items.set(key, before);
      } else {
        this.#note(key, before, now, null);
      }
    }
  }

  /**
   * @param {string} key
   * @param {Entity | null} before
   * @param {Entity | null} now
   * @param {Record<string, any> | null} last
   */
  #put(key, before, now, last) {
    if (now === null) {
      this.items.delete(key);
    } else {
      this.items.set(key, now);
    }
    if (before !== null || now !== null) {
      this.#note(key, before, now, last);
    }
  }
}

/**
 * @param {Map<string, Entity>} items
 * @param {Map<string, { isWhole: boolean, entity: Entity | null }>} changed
 */
function merged(items, changed) {
  for (const [key, { isWhole, entity }] of changed) {
    if (entity === null) {
      items.delete(key);
    } else {
      const before = isWhole ? undefined : items.get(key);
      items.set(key, before === undefined ? entity : { ...before, ...entity });
    }
  }
  return items;
}

/**
 * What handlers of a subscription are told.
 *
 * @typedef {object} SubscriptionTold
 * @property {Change[]} change what has changed since the last time, in the order of the first change
 * @property {ClassicMessage} event
 * @property {Gap} gap
 * @property {AmiwsError} error the server has refused the subscription; the console says so if nobody
 *   listens to this
 */

/** One view of the servers: a collection that is kept up to date, and events. */
export class Subscription {
  /** @type {Handlers<SubscriptionTold>} */
  #handlers = new Handlers();
  /** @type {Map<string, Change>} */
  #changes = new Map();
  /** @type {(() => void) | null} */
  #cancelFlush = null;
  #batch;
  #collection;
  #onClose;
  #users = 0;
  #isLoaded = false;
  #wasSubscribed = false;
  #mayResume = false;
  #needsSnapshot = false; // until it is whole no position says what we have
  /** @type {string | null} */
  #position = null;
  #settleReady = { resolve: () => {}, reject: (/** @type {AmiwsError} */ _error) => {} };

  /**
   * @internal
   * @param {Stream[]} streams
   * @param {Filters} filters
   * @param {"frame" | "microtask"} batch
   * @param {(subscription: Subscription) => void} onClose
   */
  constructor(streams, filters, batch, onClose) {
    this.streams = streams;
    this.filters = filters;
    this.#batch = batch;
    this.#onClose = onClose;
    this.#collection = new Collection((key, before, now, last) =>
      this.#note(key, before, now, last),
    );
    /**
     * Fulfilled when the first snapshot has come whole, or events can come; rejected with an
     * AmiwsError if the server refuses the subscription.
     *
     * @type {Promise<void>}
     */
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.ready.catch(() => {}); // told by "error" too: who does not wait for it is not to blame
  }

  /** Whether a snapshot has come whole; it stays so while the connection is lost. */
  get isLoaded() {
    return this.#isLoaded;
  }

  /** How many entities there are. */
  get size() {
    return this.#collection.items.size;
  }

  /** All entities. */
  [Symbol.iterator]() {
    return this.#collection.items.values();
  }

  /**
   * The entities of a kind; without one, all.
   *
   * @param {string} [kind]
   * @returns {Entity[]}
   */
  list(kind) {
    const all = [...this];
    return kind === undefined ? all : all.filter((entity) => entity.kind === kind);
  }

  /**
   * @param {number} server
   * @param {string} kind
   * @param {string} id
   * @returns {Entity | undefined}
   */
  get(server, kind, id) {
    return this.#collection.items.get(Collection.key({ server, kind, id }));
  }

  /**
   * Calls `handler` with what `name` tells, until the function that this returns is called, or
   * `signal` is aborted.
   *
   * @template {keyof SubscriptionTold} Name
   * @param {Name} name
   * @param {(what: SubscriptionTold[Name]) => void} handler
   * @param {{ signal?: AbortSignal }} [options]
   */
  on(name, handler, options = {}) {
    return this.#handlers.add(name, handler, options);
  }

  /** Ends it, once all who subscribed to this view have said so. */
  close() {
    this.#users -= 1;
    if (this.#users === 0) {
      this.#cancelFlush?.();
      this.#onClose(this);
    }
  }

  /** @internal */
  _use() {
    this.#users += 1;
    return this;
  }

  /** @internal The request that begins it on a new connection, or goes on with it. */
  _request() {
    const { streams, filters } = this;
    this.#collection.forgetPages();
    this.#mayResume = this.#position !== null;
    return this.#position === null
      ? { op: "subscribe", streams, filters }
      : { op: "resume", streams, filters, position: this.#position };
  }

  /** @internal @param {{ resumed: boolean, position?: string }} message */
  _subscribed({ resumed, position }) {
    const hasState = this.streams.includes("state");
    this.#needsSnapshot = hasState && !this.#mayResume;
    if (!resumed) {
      this.#position = null;
    }
    this._at(position);
    if (this.#wasSubscribed && !this.#mayResume && this.streams.includes("events")) {
      this._gap({ stream: "events", reason: "connection", lost: null });
    }
    this.#wasSubscribed = true;
    if (!hasState || (resumed && this.#isLoaded)) {
      this.#settleReady.resolve();
    }
  }

  /** @internal @param {AmiwsError} error */
  _refused(error) {
    this.#settleReady.reject(error);
    if (!this.#handlers.tell("error", error)) {
      console.error(String(error)); // else a page with a mistake in its filters stays empty, and silent
    }
  }

  /** @internal @param {any} message */
  _snapshot(message) {
    this.#collection.snapshot(message);
    this.#needsSnapshot = this.#collection.isLoading;
    if (this.#needsSnapshot) {
      this.#position = null;
      return;
    }
    this.#isLoaded = true;
    this._at(message.position);
    this.#settleReady.resolve();
  }

  /** @internal @param {any} message */
  _state(message) {
    this.#collection.state(message);
    this._at(message.position);
  }

  /** @internal @param {any} message */
  _event(message) {
    this._at(message.position);
    this.#handlers.tell("event", message.message);
  }

  /** @internal @param {any} message */
  _gap({ stream, reason, lost = null, server = null, position }) {
    if (stream === "state") {
      this.#needsSnapshot = true;
      this.#position = null;
    }
    this._at(position);
    this.#handlers.tell("gap", { stream, reason, lost, server });
  }

  /** @internal @param {unknown} position where it is now, if that was said */
  _at(position) {
    if (typeof position === "string" && position !== "" && !this.#needsSnapshot) {
      this.#position = position;
    }
  }

  /** @type {Note} */
  #note(key, before, now, last) {
    const { server, kind, id } = /** @type {Entity} */ (now ?? before);
    const first = this.#changes.get(key);
    this.#changes.set(key, {
      server,
      kind,
      id,
      before: first === undefined ? before : first.before,
      now,
      last,
    });
    this.#cancelFlush ??= (this.#batch === "frame" ? onFrame : onMicrotask)(() => this.#flush());
  }

  #flush() {
    const changes = [...this.#changes.values()];
    this.#changes.clear();
    this.#cancelFlush = null;
    this.#handlers.tell("change", changes);
  }
}

/** @typedef {(run: () => void) => () => void} Schedule runs later; what it returns cancels */

/** @type {Schedule} */
function onMicrotask(run) {
  let isCancelled = false;
  queueMicrotask(() => isCancelled || run());
  return () => {
    isCancelled = true;
  };
}

/** @type {Schedule} The next animation frame; in a hidden page or a worker soon all the same. */
function onFrame(run) {
  const hasFrames = typeof requestAnimationFrame === "function";
  const frame = hasFrames ? requestAnimationFrame(() => once()) : 0;
  const timer = setTimeout(() => once(), hasFrames ? HIDDEN_FRAME : 16);
  const cancel = () => {
    clearTimeout(timer);
    if (hasFrames) {
      cancelAnimationFrame(frame);
    }
  };
  const once = () => {
    cancel();
    run();
  };
  return cancel;
}

/**
 * The WebSocket, kept open: it comes back by itself, ever more slowly, never in step with others.
 */
class Connection {
  /** @type {Status} */
  status = { state: "connecting", reason: "", code: null, retryAt: null };
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #url;
  #login;
  #told;
  #failures = 0;
  #wasRefused = false; // the last attempt ended before it was live
  #isLive = false;
  #liveSince = 0;
  #heardAt = 0;
  #silence = 0; // longest that a live connection may be quiet
  #hurry = () => this.hurry(HURRY_WITHIN * Math.random());
  #whenSeen = () => void (document.hidden || this.#hurry());

  /**
   * @param {URL} url
   * @param {URL | null} login what to load for a login after a refusal
   * @param {{ onHello: (hello: Hello) => void, onMessage: (message: any) => void,
   *   onLost: () => void, onStatus: (status: Status) => void }} told `onHello`: it is live
   */
  constructor(url, login, told) {
    this.#url = url;
    this.#login = login;
    this.#told = told;
  }

  /** Connects, and stays so. */
  start() {
    globalThis.addEventListener?.("online", this.#hurry);
    globalThis.document?.addEventListener("visibilitychange", this.#whenSeen);
    this.#attempt();
  }

  /** @param {object} message */
  send(message) {
    this.#socket?.send(JSON.stringify(message));
  }

  /** @param {number} within milliseconds: the next attempt is no later */
  hurry(within) {
    const { state, retryAt } = this.status;
    if (retryAt !== null && Date.now() + within < retryAt) {
      this.#wait(state, within, this.status.reason, this.status.code);
    }
  }

  /** Tries at once; after a logout too. */
  again() {
    if (this.status.code === LOGGED_OUT && this.status.retryAt === null) {
      this.#wasRefused = true; // so that the browser asks for the password
      this.#attempt();
    } else {
      this.hurry(0);
    }
  }

  close() {
    globalThis.removeEventListener?.("online", this.#hurry);
    globalThis.document?.removeEventListener("visibilitychange", this.#whenSeen);
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    this.#isLive = false;
    socket?.close(1000);
    this.#change("closed");
  }

  async #attempt() {
    this.#change("connecting", this.status.reason); // why it is not live, until it is
    if (this.#wasRefused && this.#login !== null) {
      const refusal = await logIn(this.#login);
      if (this.status.state !== "connecting") {
        return; // closed meanwhile
      }
      if (refusal !== null) {
        this.#retryLater(refusal.reason, refusal.code, refusal.isFinal);
        return;
      }
    }
    this.#open();
  }

  #open() {
    const socket = new WebSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    this.#isLive = false;
    this.#timer = setTimeout(() => this.#drop("no answer"), HELLO_WITHIN);
    socket.addEventListener("message", (event) => {
      if (socket === this.#socket) {
        this.#heard(parse(event.data));
      }
    });
    socket.addEventListener("close", (event) => {
      if (socket === this.#socket) {
        this.#lost(event.reason, event.code);
      }
    });
  }

  /** @param {any} message */
  #heard(message) {
    this.#heardAt = performance.now();
    if (message === null) {
      return;
    }
    if (this.#isLive) {
      this.#told.onMessage(message);
    } else if (message.op === "hello") {
      this.#isLive = true;
      this.#wasRefused = false;
      this.#liveSince = performance.now();
      this.#silence = message.heartbeat * MISSED_BEATS;
      clearTimeout(this.#timer);
      this.#watch(this.#silence);
      this.status = { state: "live", reason: "", code: null, retryAt: null };
      this.#told.onHello(message);
    }
  }

  /** @param {number} wait */
  #watch(wait) {
    this.#timer = setTimeout(() => {
      const quiet = performance.now() - this.#heardAt;
      if (quiet < this.#silence) {
        this.#watch(this.#silence - quiet);
      } else {
        this.#timer = setTimeout(() => this.#giveUpIfQuiet(), BUSY_GRACE);
      }
    }, wait);
  }

  #giveUpIfQuiet() {
    if (performance.now() - this.#heardAt < this.#silence) {
      this.#watch(this.#silence);
    } else {
      this.#drop("the connection went quiet");
    }
  }

  /** @param {string} reason */
  #drop(reason) {
    const socket = this.#socket;
    this.#lost(reason, null); // first, since the other side may not answer the close
    socket?.close(4000, reason);
  }

  /**
   * @param {string} reason
   * @param {number | null} code
   */
  #lost(reason, code) {
    const wasLive = this.#isLive;
    this.#socket = null;
    this.#isLive = false;
    this.#wasRefused = !wasLive;
    if (wasLive && performance.now() - this.#liveSince > STEADY_AFTER) {
      this.#failures = 0;
    }
    clearTimeout(this.#timer);
    if (code === LOGGED_OUT) {
      this.#change("refused", reason, code);
    } else {
      this.#retryLater(reason || (wasLive ? "the connection was lost" : "no answer"), code, false);
    }
    if (wasLive) {
      this.#told.onLost();
    }
  }

  /**
   * @param {string} reason
   * @param {number | null} code
   * @param {boolean} isRefused
   */
  #retryLater(reason, code, isRefused) {
    const longest = isRefused
      ? REFUSED_WAIT
      : Math.min(FIRST_WAIT * 2 ** this.#failures, LONGEST_WAIT);
    this.#failures += 1;
    const wait = longest * (0.25 + 0.75 * Math.random());
    this.#wait(isRefused ? "refused" : "lost", wait, reason, code);
  }

  /**
   * @param {Status["state"]} state
   * @param {number} wait
   * @param {string} reason
   * @param {number | null} code
   */
  #wait(state, wait, reason, code) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#attempt(), wait);
    this.#change(state, reason, code, Date.now() + wait);
  }

  /**
   * @param {Status["state"]} state
   * @param {string} [reason]
   * @param {number | null} [code]
   * @param {number | null} [retryAt]
   */
  #change(state, reason = "", code = null, retryAt = null) {
    this.status = { state, reason, code, retryAt };
    this.#told.onStatus(this.status);
  }
}

/**
 * A WebSocket that is refused tells a page nothing, and cannot ask for a password. Loading a page
 * can: the browser answers the challenge, and gets the cookie that the WebSocket needs.
 *
 * @param {URL} url
 * @returns {Promise<{ reason: string, code: number | null, isFinal: boolean } | null>} null: no refusal
 */
async function logIn(url) {
  try {
    const signal = AbortSignal.timeout(HELLO_WITHIN);
    const { status } = await fetch(url, { cache: "no-store", signal });
    if (status === 401) {
      return { reason: "a login is needed", code: status, isFinal: true };
    }
    if (status === 403) {
      return { reason: "this page may not connect", code: status, isFinal: true };
    }
    return status < 429 ? null : { reason: `HTTP status ${status}`, code: status, isFinal: false };
  } catch {
    return { reason: "no answer", code: null, isFinal: false };
  }
}

/**
 * @param {unknown} data
 * @returns {any} an object; null for what amiws-gevent does not send
 */
function parse(data) {
  try {
    const value = typeof data === "string" ? JSON.parse(data) : null;
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/** An action under way: which servers have answered, and who waits. */
class Asking {
  /** @type {Reply[]} */
  #replies = [];
  #come = 0;
  #isOver = false;
  #servers;
  #settle;
  #onReply;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {number[]} servers
   * @param {ActionOptions} options
   * @param {{ resolve: (replies: Reply[]) => void, reject: (error: unknown) => void }} settle
   */
  constructor(servers, { timeout, onReply }, settle) {
    this.#servers = servers;
    this.#settle = settle;
    this.#onReply = onReply;
    if (timeout !== undefined) {
      const wait = timeout * 1000 + ACTION_GRACE;
      this.#timer = setTimeout(() => this.giveUp("amiws-gevent did not answer in time"), wait);
    }
  }

  /**
   * @param {any} message
   * @returns {boolean} whether it was the last
   */
  replied({ op: _op, id: _id, replies, ...reply }) {
    this.#come += 1;
    const isLast = this.#come >= replies;
    this.#take(reply);
    if (isLast) {
      this.#end(() => this.#settle.resolve(this.#replies));
    }
    return isLast;
  }

  /** @param {string} reason Those who have not answered may have done it. */
  giveUp(reason) {
    const answered = new Set(this.#replies.map(({ server }) => server));
    for (const server of this.#servers.filter((id) => !answered.has(id))) {
      this.#take(unknownOutcome(server, reason));
    }
    this.#end(() => this.#settle.resolve(this.#replies));
  }

  /** @param {unknown} error */
  fail(error) {
    this.#end(() => this.#settle.reject(error));
  }

  /** @param {() => void} settle */
  #end(settle) {
    clearTimeout(this.#timer);
    this.#isOver = true;
    settle();
  }

  /** @param {Reply} reply It may come when nobody waits any more. */
  #take(reply) {
    if (this.#isOver) {
      return;
    }
    this.#replies.push(reply);
    try {
      this.#onReply?.(reply);
    } catch (error) {
      reportError(error);
    }
  }
}

/**
 * @param {number} server
 * @param {string} reason
 * @returns {Reply}
 */
function unknownOutcome(server, reason) {
  return {
    server,
    outcome: "unknown",
    response: null,
    items: [],
    end: null,
    complete: false,
    reason,
  };
}

/**
 * What handlers of an Amiws are told.
 *
 * @typedef {object} AmiwsTold
 * @property {Status} status the connection has changed
 * @property {Hello} hello it is live again; what the server said of itself
 */

/** The connection of a page to amiws-gevent. */
export class Amiws {
  /** @type {Handlers<AmiwsTold>} */
  #handlers = new Handlers();
  #connection;
  #batch;
  /** @type {Map<string, Subscription>} by streams and filters */
  #subscriptions = new Map();
  /** @type {Map<string, Subscription>} by the server's id, on this connection */
  #subscribed = new Map();
  /** @type {Map<number, (message: any) => boolean>} who waits for an answer; true: it was the last */
  #waiting = new Map();
  /** @type {Map<number, Asking>} */
  #actions = new Map();
  #lastId = 0;
  #clockOffset = 0;
  /** @type {Hello | null} */
  #hello = null;
  /** @type {Subscription | null} */
  #servers = null;

  /**
   * @param {object} [options]
   * @param {string | URL} [options.url] of the WebSocket; without it "ws", beside the folder "lib"
   *   that this file is in, or "/ws" where the page is from
   * @param {string | URL | null} [options.login] what to load to have the browser log in after a
   *   refusal; null: nothing. Without it, the folder in which "lib" is, or "/"
   * @param {"frame" | "microtask"} [options.batch] when subscriptions tell a "change": once for an
   *   animation frame, or as soon as a message was read
   */
  constructor({ url = new URL("ws", ROOT), login = ROOT, batch = "frame" } = {}) {
    this.#batch = batch;
    const socket = new URL(url, location.href);
    socket.protocol = socket.protocol.replace(/^http/, "ws");
    const page = login === null ? null : new URL(login, location.href);
    const isOwn = page !== null && page.host === socket.host && page.origin === location.origin;
    this.#connection = new Connection(socket, isOwn ? page : null, {
      onHello: (hello) => this.#onHello(hello),
      onMessage: (message) => this.#onMessage(message),
      onLost: () => this.#onLost(),
      onStatus: (status) => this.#handlers.tell("status", status),
    });
    this.#connection.start();
  }

  /** How it stands with the connection. */
  get status() {
    return this.#connection.status;
  }

  /** What the server said when this connection began; null before the first. */
  get hello() {
    return this.#hello;
  }

  /**
   * The servers themselves: entities of kind "server" of server 0, whose `id` is that of the server.
   *
   * @returns {Subscription}
   */
  get servers() {
    this.#servers ??= this.subscribe({ server: 0, kind: "server" });
    return this.#servers;
  }

  /**
   * Whether what is known of a server is how it is now: we are connected, and so is amiws-gevent.
   *
   * @param {number} server
   */
  isCurrent(server) {
    const known = this.servers.isLoaded ? this.servers : (this.#hello?.servers ?? []);
    const found = [...known].find(({ id }) => id === String(server));
    return this.status.state === "live" && (server === 0 || found?.sync === "live");
  }

  /** The clock of amiws-gevent now, by which all times in entities are; like `Date.now()`. */
  now() {
    return Date.now() + this.#clockOffset;
  }

  /**
   * Calls `handler` with what `name` tells, until the function that this returns is called, or
   * `signal` is aborted.
   *
   * @template {keyof AmiwsTold} Name
   * @param {Name} name
   * @param {(what: AmiwsTold[Name]) => void} handler
   * @param {{ signal?: AbortSignal }} [options]
   */
  on(name, handler, options = {}) {
    return this.#handlers.add(name, handler, options);
  }

  /**
   * A view of the servers, now or as soon as there is a connection. Who asks for one that is there
   * already gets the same object.
   *
   * @param {Filters} [filters] without any: everything
   * @param {object} [options]
   * @param {Stream[]} [options.streams] `["state"]` unless given
   * @returns {Subscription}
   */
  subscribe(filters = {}, { streams = ["state"] } = {}) {
    const key = viewKey(filters, streams);
    const known = this.#subscriptions.get(key);
    if (known !== undefined) {
      return known._use();
    }
    const subscription = new Subscription(streams, filters, this.#batch, () => {
      this.#subscriptions.delete(key);
      this.#unsubscribe(subscription);
    });
    this.#subscriptions.set(key, subscription);
    if (this.status.state === "live") {
      this.#begin(subscription);
    }
    return subscription._use();
  }

  /**
   * Sends an action to one server, for example
   * `await amiws.action(1, { Action: "QueueStatus", Queue: "sales" })`.
   *
   * The reply says what became of it, also if the connection is lost: "unknown". Rejected with an
   * AmiwsError if nothing was sent.
   *
   * @param {number} server
   * @param {Headers} headers
   * @param {ActionOptions} [options]
   * @returns {Promise<Reply>}
   */
  async action(server, headers, options = {}) {
    const [reply] = await this.#ask(server, [server], headers, options);
    return /** @type {Reply} */ (reply);
  }

  /**
   * Sends an action to several servers; there is a reply for each.
   *
   * @param {number[] | "all"} servers
   * @param {Headers} headers
   * @param {ActionOptions} [options]
   * @returns {Promise<Reply[]>}
   */
  async actions(servers, headers, options = {}) {
    const known = this.#hello?.servers.map(({ id }) => Number(id)) ?? [];
    return this.#ask(servers, servers === "all" ? known : servers, headers, options);
  }

  /** Tries at once to connect, if it is waiting to, or after a logout. */
  reconnect() {
    this.#connection.again();
  }

  /** Ends the connection and all that hangs on it. */
  close() {
    this.#connection.close();
    this.#onLost();
  }

  /**
   * @param {number | number[] | "all"} server
   * @param {number[]} servers
   * @param {Headers} action
   * @param {ActionOptions} options
   * @returns {Promise<Reply[]>}
   */
  #ask(server, servers, action, options) {
    const { timeout, wait, idempotencyKey, signal } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.status.state !== "live") {
        throw new AmiwsError("not_connected", "not connected; nothing was sent");
      }
      const asking = new Asking(servers, options, { resolve, reject });
      const id = this.#request(
        { op: "action", server, action, timeout, wait, idempotency_key: idempotencyKey },
        (message) => {
          if (message.op === "error") {
            asking.fail(errorOf(message));
          }
          const isLast = message.op === "error" || asking.replied(message);
          if (isLast) {
            this.#actions.delete(id);
          }
          return isLast;
        },
      );
      this.#actions.set(id, asking);
      signal?.addEventListener("abort", () => asking.fail(signal.reason), { once: true });
    });
  }

  /**
   * @param {object} message
   * @param {(message: any) => boolean} answered
   */
  #request(message, answered) {
    this.#lastId += 1;
    this.#waiting.set(this.#lastId, answered);
    this.#connection.send({ ...message, id: this.#lastId });
    return this.#lastId;
  }

  /** @param {Subscription} subscription */
  #begin(subscription) {
    this.#request(subscription._request(), (message) => {
      const isWanted = [...this.#subscriptions.values()].includes(subscription);
      if (message.op === "subscribed") {
        this.#subscribed.set(message.subscription, subscription);
        if (isWanted) {
          subscription._subscribed(message);
        } else {
          this.#unsubscribe(subscription);
        }
      } else if (message.op === "error" && isWanted) {
        this.#refused(subscription, errorOf(message));
      }
      return true;
    });
  }

  /**
   * @param {Subscription} subscription
   * @param {AmiwsError} error
   */
  #refused(subscription, error) {
    if (error.retryAfter === null) {
      subscription._refused(error);
      return;
    }
    const connection = this.#hello;
    setTimeout(() => {
      const isWanted = [...this.#subscriptions.values()].includes(subscription);
      if (isWanted && this.status.state === "live" && this.#hello === connection) {
        this.#begin(subscription);
      }
    }, error.retryAfter * 1000);
  }

  /** @param {Subscription} subscription */
  #unsubscribe(subscription) {
    for (const [id, subscribed] of this.#subscribed) {
      if (subscribed === subscription) {
        this.#subscribed.delete(id);
        this.#request({ op: "unsubscribe", subscription: id }, () => true);
      }
    }
  }

  /** @param {Hello} hello */
  #onHello(hello) {
    this.#hello = hello;
    this.#clockOffset = hello.time - Date.now();
    for (const subscription of this.#subscriptions.values()) {
      this.#begin(subscription);
    }
    // Only now: a handler may subscribe, which begins at once.
    this.#handlers.tell("status", this.status);
    this.#handlers.tell("hello", hello);
  }

  #onLost() {
    this.#waiting.clear();
    this.#subscribed.clear();
    const actions = [...this.#actions.values()];
    this.#actions.clear();
    for (const asking of actions) {
      asking.giveUp("the connection to amiws-gevent was lost");
    }
  }

  /** @param {any} message */
  #onMessage(message) {
    const subscription = this.#subscribed.get(message.subscription);
    switch (message.op) {
      case "subscribed":
      case "unsubscribed":
      case "reply":
      case "error":
        if (this.#waiting.get(message.id)?.(message)) {
          this.#waiting.delete(message.id);
        }
        break;
      case "snapshot":
        subscription?._snapshot(message);
        break;
      case "state":
        subscription?._state(message);
        break;
      case "event":
        subscription?._event(message);
        break;
      case "gap":
        subscription?._gap(message);
        break;
      case "position":
        this.#clockOffset = message.time - Date.now();
        for (const [id, position] of Object.entries(message.positions ?? {})) {
          this.#subscribed.get(id)?._at(position);
        }
        break;
      default: // of a later version
    }
  }
}

/** @param {any} message */
function errorOf({ code, message, retry_after: retryAfter }) {
  return new AmiwsError(code, message, retryAfter ?? null);
}

/**
 * Equal for equal views, which have one id on a connection. Case matters in all but events.
 *
 * @param {Filters} filters
 * @param {Stream[]} streams
 */
function viewKey(filters, streams) {
  const sorted = Object.entries(filters)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => {
      const values = [value].flat().map((one) => (name === "event" ? String(one).toLowerCase() : one));
      return [name, [...new Set(values)].sort()];
    })
    .sort();
  return JSON.stringify([sorted, [...new Set(streams)].sort()]);
}
