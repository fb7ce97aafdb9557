// Which view is shown, and of what: in the address, so that it can be bookmarked and gone back from.
// `#/queues?queue=sales&queue=support` is the view "queues" with two values of "queue".

import { signal } from "../vendor/ui.js";

/** @typedef {{ view: string, params: URLSearchParams }} Route */

/** @returns {Route} */
function read() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { view: path, params: new URLSearchParams(query) };
}

/** Where the page is. An empty view is the first one. */
export const route = signal(read());

addEventListener("hashchange", () => (route.value = read()));

/**
 * The address of a view.
 *
 * @param {string} view
 * @param {Record<string, string | string[] | null | undefined>} [params]
 */
export function addressOf(view, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of [value ?? []].flat()) {
      query.append(name, one);
    }
  }
  return `#/${view}${query.size > 0 ? `?${query}` : ""}`;
}

/**
 * Goes to a view; with `replace` the one before is not kept in the history.
 *
 * @param {string} view
 * @param {Record<string, string | string[] | null | undefined>} [params]
 * @param {{ replace?: boolean }} [options]
 */
export function goTo(view, params = {}, { replace = false } = {}) {
  const address = addressOf(view, params);
  if (replace) {
    history.replaceState(null, "", address);
    route.value = read();
  } else {
    location.hash = address;
  }
}
