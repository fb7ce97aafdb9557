// The way a call took, in words.

import { t } from "../text.js";

/**
 * A step of the way, as a sentence; one of a kind that this page does not know, by its name.
 *
 * @param {Record<string, any>} step see docs/state.md
 */
export function stepText(step) {
  const unknown = t("person.unknown");
  const { what, how } = step;
  const name = what === "transferred" && how ? `way.transferred_${how}` : `way.${what}`;
  /** @type {Record<string, string>} */
  const values = { who: unknown, to: unknown, by: unknown, of: unknown };
  for (const [key, value] of Object.entries(step)) {
    values[key] = String(value);
  }
  const text = t(name, values);
  return text === name ? String(what) : text;
}
