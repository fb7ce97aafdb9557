// What is so on the servers, as signals: the one place that talks with amiws-gevent.
//
// Kinds of entities are subscribed in groups, each when a view first needs it. What has changed is
// passed on ten times a second at most, however much comes: a page draws no more often than that.

import { Amiws } from "../lib/amiws.js";
import { batch, computed, signal, useEffect } from "../vendor/ui.js";

/** @typedef {import("../lib/amiws.js").Entity} Entity */
/** @typedef {import("../lib/amiws.js").Change} Change */
/** @typedef {import("../lib/amiws.js").Subscription} Subscription */

const DRAW_EVERY = 100; // milliseconds
const KEPT_UNUSED = 30_000; // milliseconds: who comes back to a view finds it as it is

const GROUPS = [
  ["call"],
  ["channel"],
  ["queue", "queue_member", "queue_caller"],
  ["hint", "device", "presence", "do_not_disturb", "mailbox", "agent"],
  ["peer", "endpoint", "contact", "registration"],
  ["conference", "participant", "parking_lot", "parked_call"],
];

export const amiws = new Amiws();

/** How it stands with the connection; the same as `amiws.status`. */
export const status = signal(amiws.status);

/** What amiws-gevent said of itself; null before the first connection. */
export const hello = signal(amiws.hello);

/** The clock of amiws-gevent, in milliseconds, once a second: what durations are shown by. */
export const now = signal(Date.now());

/** The entities of a kind. */
class Kind {
  /** @type {Map<string, Entity>} */
  #entities = new Map();
  #version = signal(0);
  /** @type {Set<(changes: Change[]) => void>} */
  #listeners = new Set();
  /** @type {Change[]} */
  #changes = [];

  /** All of them, in the order in which they came. An entity that changes is a new object. */
  list = computed(() => {
    this.#version.value;
    return [...this.#entities.values()];
  });

  /** Whether the first snapshot is there: until then an empty list says nothing. */
  isLoaded = signal(false);

  /**
   * @param {number} server
   * @param {string} id
   * @returns {Entity | undefined}
   */
  get(server, id) {
    this.#version.value;
    return this.#entities.get(`${server} ${id}`);
  }

  /**
   * Calls `handler` with what has changed, at each drawing.
   *
   * @param {(changes: Change[]) => void} handler
   * @returns {() => void} ends it
   */
  onChange(handler) {
    this.#listeners.add(handler);
    return () => void this.#listeners.delete(handler);
  }

  /** @param {Change} change */
  note(change) {
    const key = `${change.server} ${change.id}`;
    if (change.now === null) {
      this.#entities.delete(key);
    } else {
      this.#entities.set(key, change.now);
    }
    this.#changes.push(change);
  }

  /** Shows what was noted. */
  publish() {
    if (this.#changes.length > 0) {
      const changes = this.#changes;
      this.#changes = [];
      this.#version.value += 1;
      for (const listener of this.#listeners) {
        listener(changes);
      }
    }
  }

  forget() {
    this.#entities.clear();
    this.#changes = [];
    this.isLoaded.value = false;
    this.#version.value += 1;
  }
}

/** @type {Map<string, Kind>} */
const kinds = new Map(["server", ...GROUPS.flat()].map((name) => [name, new Kind()]));

/**
 * The entities of a kind, whether they are subscribed or not.
 *
 * @param {string} name
 * @returns {Kind}
 */
export function kind(name) {
  const found = kinds.get(name);
  if (found === undefined) {
    throw new Error(`no kind is called ${name}`);
  }
  return found;
}

let drawing = false;

function drawSoon() {
  if (!drawing) {
    drawing = true;
    setTimeout(draw, DRAW_EVERY);
  }
}

/** @type {Set<() => void>} */
const withDrawing = new Set();

function draw() {
  drawing = false;
  batch(() => {
    for (const one of kinds.values()) {
      one.publish();
    }
    for (const run of withDrawing) {
      run();
    }
    withDrawing.clear();
  });
}

/** @param {Subscription} subscription */
function follow(subscription) {
  subscription.on("change", (changes) => {
    for (const change of changes) {
      kinds.get(change.kind)?.note(change);
    }
    drawSoon();
  });
}

/**
 * Calls `loaded` when the first snapshot is drawn, together with what it has.
 *
 * @param {Subscription} subscription that is followed
 * @param {() => void} loaded may be called again
 */
function onLoaded(subscription, loaded) {
  const begin = () => {
    const end = subscription.on("change", () => {
      end();
      withDrawing.add(loaded);
    });
    setTimeout(loaded, 2 * DRAW_EVERY); // nothing changes if there is nothing
  };
  subscription.ready.then(begin, () => {});
}

/** A subscription to some kinds that is there while a view uses it, and a little longer. */
class Group {
  /** @type {Subscription | null} */
  #subscription = null;
  #users = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {string[]} names */
  constructor(names) {
    this.names = names;
  }

  use() {
    this.#users += 1;
    clearTimeout(this.#timer);
    if (this.#subscription === null) {
      const subscription = amiws.subscribe({ kind: this.names });
      this.#subscription = subscription;
      follow(subscription);
      onLoaded(subscription, () => this.#loaded(subscription));
    }
  }

  release() {
    this.#users -= 1;
    if (this.#users === 0) {
      this.#timer = setTimeout(() => this.#end(), KEPT_UNUSED);
    }
  }

  /** @param {Subscription} subscription */
  #loaded(subscription) {
    if (this.#subscription === subscription) {
      for (const name of this.names) {
        kind(name).isLoaded.value = true;
      }
    }
  }

  #end() {
    this.#subscription?.close();
    this.#subscription = null;
    for (const name of this.names) {
      kind(name).forget();
    }
  }
}

/** @type {Map<string, Group>} */
const groups = new Map();
for (const names of GROUPS) {
  const group = new Group(names);
  for (const name of names) {
    groups.set(name, group);
  }
}

/**
 * Subscribes to a kind until the function that this returns is called.
 *
 * @param {string} name
 * @returns {() => void}
 */
export function hold(name) {
  const group = groups.get(name);
  group?.use();
  return () => group?.release();
}

/**
 * In a component: the entities of a kind, kept up to date while the component is there.
 *
 * @param {string} name
 * @returns {Entity[]}
 */
export function useEntities(name) {
  useEffect(() => hold(name), [name]);
  return kind(name).list.value;
}

/** The servers, by their number. */
export const servers = computed(() =>
  [...kind("server").list.value].sort((one, other) => Number(one.id) - Number(other.id)),
);

/**
 * As `computed`. The value stays the same while its text does: servers change each second, and what
 * shows their names need not be drawn for that.
 *
 * @template Value
 * @param {() => Value} compute
 * @param {(value: Value) => string} textOf
 */
export function steadily(compute, textOf) {
  /** @type {{ value: Value, text: string } | null} */
  let kept = null;
  return computed(() => {
    const value = compute();
    const text = textOf(value);
    if (kept === null || kept.text !== text) {
      kept = { value, text };
    }
    return kept.value;
  });
}

/** The names of the servers by their number: pages show no numbers. */
export const serverNames = steadily(
  () => new Map(servers.value.map(({ id, name }) => [Number(id), String(name)])),
  (names) => JSON.stringify([...names]),
);

/** The names of those of which amiws-gevent does not know how they are now. */
export const lostServers = steadily(
  () => servers.value.filter(({ sync }) => sync === "stale").map(({ name }) => String(name)),
  (names) => JSON.stringify(names),
);

/**
 * Whether what is known of a server is how it is now.
 *
 * @param {number} server
 */
export function isCurrent(server) {
  const known = kind("server").isLoaded.value ? servers.value : (hello.value?.servers ?? []);
  const found = known.find(({ id }) => id === String(server));
  return status.value.state === "live" && (server === 0 || found?.["sync"] === "live");
}

follow(amiws.servers);
onLoaded(amiws.servers, () => (kind("server").isLoaded.value = true));
amiws.on("status", (told) => (status.value = told));
amiws.on("hello", (told) => {
  hello.value = told;
  now.value = amiws.now(); // the clock of the browser may be another
});

function tick() {
  now.value = amiws.now();
  setTimeout(tick, 1000 - (now.value % 1000));
}
tick();
