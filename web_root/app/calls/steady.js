// Rows stay where they are while somebody points at them or moves through them by keyboard: a click
// must hit the call that it was aimed at. New ones come to the end until he is done.

import { useMemo, useRef, useState } from "../../vendor/ui.js";
import { keyOf } from "./list.js";

/** @typedef {import("../../lib/amiws.js").Entity} Entity */

/**
 * The rows in the order to show, and what the element around them needs to know of the pointer.
 *
 * @param {Entity[]} sorted
 * @param {unknown} order another one is what the viewer asked for: it is done at once
 */
export function useSteady(sorted, order) {
  const [isPointedAt, setPointedAt] = useState(false);
  const [hasFocus, setFocus] = useState(false);
  const isHeld = isPointedAt || hasFocus;
  const before = useRef({ order, rows: /** @type {Entity[]} */ ([]) });
  const rows = useMemo(() => {
    const isSame = isHeld && before.current.order === order;
    const kept = isSame ? steady(sorted, before.current.rows) : sorted;
    before.current = { order, rows: kept };
    return kept;
  }, [sorted, isHeld, order]);
  const hold = {
    onPointerEnter: () => setPointedAt(true),
    onPointerLeave: () => setPointedAt(false),
    onFocusIn: (/** @type {FocusEvent} */ { target }) => setFocus(isByKeyboard(target)),
    onFocusOut: (/** @type {FocusEvent} */ { relatedTarget }) => setFocus(isByKeyboard(relatedTarget)),
  };
  return { rows, hold };
}

/**
 * Whether somebody moves through the rows by keyboard. A click leaves the focus where it was, and
 * that is no sign that he still looks there.
 *
 * @param {EventTarget | null} focused
 */
const isByKeyboard = (focused) =>
  focused instanceof HTMLElement && focused.closest(".table-body") !== null && focused.matches(":focus-visible");

/**
 * Those that were there in their places, then the others.
 *
 * @param {Entity[]} sorted
 * @param {Entity[]} before
 */
function steady(sorted, before) {
  // Most are the very objects that they were, and by objects it is faster than by names.
  const current = new Set(sorted);
  const were = new Set(before);
  const left = new Map(sorted.filter((call) => !were.has(call)).map((call) => [keyOf(call), call]));
  /** @type {Entity[]} */
  const rows = [];
  for (const row of before) {
    const call = current.has(row) ? row : left.get(keyOf(row));
    if (call !== undefined) {
      rows.push(call);
      if (call !== row) {
        left.delete(keyOf(call));
      }
    }
  }
  return [...rows, ...left.values()];
}
