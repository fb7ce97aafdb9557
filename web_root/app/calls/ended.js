// Calls that have just ended stay in sight for a moment, with the reason.

import { signal } from "../../vendor/ui.js";
import { hold, kind, now } from "../live.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */
/** @typedef {import("../../lib/amiws.js").Change} Change */

const SHOWN_FOR = 5000; // milliseconds
const MOST = 300; // the end of a storm of calls is no reason to keep them all

/** @type {import("../../vendor/ui.js").Signal<Entity[]>} */
export const ended = signal([]);

/** Begins to note ends; returns what ends that. */
export function noteEnds() {
  const release = hold("call");
  const stop = kind("call").onChange((changes) => note(changes));
  const timer = setInterval(forget, 1000);
  return () => {
    clearInterval(timer);
    stop();
    release();
    ended.value = [];
  };
}

/** @param {Change[]} changes */
function note(changes) {
  const over = changes.filter(({ before, now: after, last }) => before && !after && last && !last["merged_into"]);
  if (over.length > 0) {
    const kept = over.map(({ before, last }) => /** @type {Entity} */ ({
      ...before,
      phase: "ended",
      since: last?.["ended"] ?? now.value,
      cause_text: last?.["cause_text"] ?? null,
    }));
    ended.value = [...ended.value, ...kept].slice(-MOST);
  }
}

function forget() {
  const left = ended.value.filter(({ since }) => now.value - since < SHOWN_FOR);
  if (left.length < ended.value.length) {
    ended.value = left;
  }
}
