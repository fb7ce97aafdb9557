// The views of the dashboard, in the order of the menu. Each is a module of its own that is loaded
// when somebody first looks at it; the first one comes with the page.

import { Calls } from "./calls/view.js";

/**
 * @typedef {object} View
 * @property {string} name in the address, and of its texts: `views.NAME`
 * @property {string} icon of parts/icon.js
 * @property {() => Promise<any>} load its component
 * @property {any} [ready] the component, if it came with the page
 */

/** @type {View[]} */
export const VIEWS = [
  { name: "calls", icon: "calls", load: async () => Calls, ready: Calls },
  { name: "queues", icon: "queue", load: async () => (await import("./queues/view.js")).Queues },
  { name: "phones", icon: "phone", load: async () => (await import("./phones/view.js")).Phones },
  { name: "trunks", icon: "trunk", load: async () => (await import("./phones/trunks.js")).Trunks },
  { name: "rooms", icon: "room", load: async () => (await import("./rooms/view.js")).Rooms },
  { name: "servers", icon: "server", load: async () => (await import("./servers/view.js")).Servers },
  { name: "charts", icon: "map", load: async () => (await import("./charts/view.js")).Charts },
];

/** The wallboard is no view of the menu: it fills the screen. */
export const loadWall = async () => (await import("./wall/view.js")).Wall;
