// Channels by name, which is what actions want; calls name their channels by Uniqueid.

import { effect } from "../vendor/ui.js";
import { hold, kind } from "./live.js";

const PATIENCE = 10_000; // milliseconds

/**
 * The names of channels, in the order of `ids`; null for one that is gone.
 *
 * @param {number} server
 * @param {(string | null | undefined)[]} ids Uniqueids
 * @returns {Promise<(string | null)[]>}
 */
export async function channelNames(server, ids) {
  const release = hold("channel");
  try {
    await loaded("channel");
    return ids.map((id) => kind("channel").get(server, id ?? "")?.["name"] ?? null);
  } finally {
    release();
  }
}

/** @param {string} name Of a kind that is held. */
function loaded(name) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE, undefined);
    const stop = effect(() => {
      if (kind(name).isLoaded.value) {
        clearTimeout(timer);
        queueMicrotask(() => stop());
        resolve(undefined);
      }
    });
  });
}
