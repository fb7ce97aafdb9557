// What somebody has chosen on this page, kept in the browser.

import { effect, signal } from "../vendor/ui.js";

const PREFIX = "amiws.";

/**
 * A setting: a signal whose value is kept. It must be of JSON; one of another type than `initial`
 * (of an older version, or edited by hand) is not taken.
 *
 * @template Value
 * @param {string} name
 * @param {Value} initial
 * @returns {import("../vendor/ui.js").Signal<Value>}
 */
export function setting(name, initial) {
  const value = signal(load(name, initial));
  effect(() => save(name, value.value));
  return value;
}

/**
 * @template Value
 * @param {string} name
 * @param {Value} initial
 * @returns {Value}
 */
function load(name, initial) {
  try {
    const kept = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
    const isAlike = initial === null || typeof kept === typeof initial;
    return kept !== null && isAlike && Array.isArray(kept) === Array.isArray(initial) ? kept : initial;
  } catch {
    return initial; // the browser keeps nothing for this page
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function save(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // As above: then it holds until the page is left.
  }
}

/** "system", "light" or "dark". */
export const theme = setting("theme", "system");

/** A code of texts/, or "" for the browser's language. */
export const chosenLanguage = setting("language", "");

/** The channel that rings when this person listens to a call or calls back, such as PJSIP/201. */
export const ownInterface = setting("own_interface", "");

/** The context of the dialplan in which numbers are dialled, as the viewer last gave it. */
export const context = setting("context", "from-internal");

/** Whether new alarms of queues are told by a sound, by a notification. */
export const alarmSound = setting("alarm_sound", false);
export const alarmNotes = setting("alarm_notifications", false);

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});
