// The views of the dashboard, in the order of the menu. Each is a module of its own that is loaded
// when somebody first looks at it; the first one comes with the page.

import { Calls } from "./calls/view.js";
import { hello } from "./live.js";
import { style } from "./parts/loaded.js";

/**
 * @typedef {object} View
 * @property {string} name in the address, and of its texts: `views.NAME`
 * @property {string} icon of parts/icon.js
 * @property {() => Promise<any>} load its component
 * @property {any} [ready] the component, if it came with the page
 * @property {() => boolean} [isOffered] whether the menu has it; by default always
 * @property {() => boolean} [isFirst] whether it is the one to begin with
 */

/** @type {View[]} */
export const VIEWS = [
  { name: "calls", icon: "calls", load: async () => Calls, ready: Calls },
  view("queues", "queue", async () => (await import("./queues/view.js")).Queues, ["queues", "queue"]),
  view("phones", "phone", async () => (await import("./phones/view.js")).Phones, ["phones"]),
  view("trunks", "trunk", async () => (await import("./phones/trunks.js")).Trunks, ["phones"]),
  view("rooms", "room", async () => (await import("./rooms/view.js")).Rooms, ["rooms"]),
  view("servers", "server", async () => (await import("./servers/view.js")).Servers, ["servers"]),
  view("charts", "map", async () => (await import("./charts/view.js")).Charts, ["charts", "../../vendor/chart"]),
  {
    ...view("audit", "audit", async () => (await import("./audit/view.js")).Audit, ["audit"]),
    isOffered: mayReadAudit,
    isFirst: () => mayReadAudit() && hello.value?.servers.length === 0, // who sees no server has no calls
  },
];

/** The view to begin with. */
export const firstView = () => VIEWS.find(({ isFirst }) => isFirst?.()) ?? VIEWS[0];

/** Whether there is an audit trail, and this viewer may read it. */
function mayReadAudit() {
  const rights = hello.value?.may["rights"];
  return Boolean(hello.value?.features.includes("audit") && (rights?.everything || rights?.audit));
}

/** The wallboard is no view of the menu: it fills the screen. */
export const loadWall = withStyles(async () => (await import("./wall/view.js")).Wall, ["queue", "wall"]);

/**
 * @param {string} name
 * @param {string} icon
 * @param {() => Promise<any>} load
 * @param {string[]} styles
 * @returns {View}
 */
function view(name, icon, load, styles) {
  return { name, icon, load: withStyles(load, styles) };
}

/**
 * @param {() => Promise<any>} load
 * @param {string[]} styles files of style/, without ".css"
 * @returns {() => Promise<any>}
 */
function withStyles(load, styles) {
  return async () => {
    const [component] = await Promise.all([load(), ...styles.map((name) => style(`../style/${name}.css`))]);
    return component;
  };
}
