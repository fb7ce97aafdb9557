// Which element of the document each row in sight has. To fill an element with another row takes half
// the time of making a new one, in which the page could do nothing else.

/** @typedef {{ of: Map<string, number>, next: number }} Slots the element of each row, by its key */

/** @type {Slots} */
export const NO_SLOTS = { of: new Map(), next: 0 };

/**
 * Rows that stay in sight keep their element; those that leave give theirs to those that come, in
 * their order, so that elements need not be moved when all rows are others.
 *
 * @param {Slots} before
 * @param {string[]} keys of the rows that are to be in sight, in their order
 * @param {Set<number>} held elements that show no other row: somebody points at them, or is in them
 * @returns {Slots}
 */
export function slotsOf({ of: before, next }, keys, held) {
  const stay = new Set(keys);
  const free = [...before].filter(([key, slot]) => !stay.has(key) && !held.has(slot)).map(([, slot]) => slot);
  free.reverse();
  const of = new Map(keys.map((key) => [key, before.get(key) ?? free.pop() ?? next++]));
  return { of, next };
}
