// Tables as files: RFC 4180, in UTF-8 with a byte order mark, which spreadsheets need to know it.

/** @typedef {string | number | null | undefined} Cell */

const FORMULA = /^[=+\-@\t\r]/;

/**
 * A cell. Spreadsheets run what begins like a formula, and names come from strangers: such a text
 * gets an apostrophe, which spreadsheets show as text.
 *
 * @param {Cell} cell
 */
function written(cell) {
  const text = typeof cell === "string" && FORMULA.test(cell) ? `'${cell}` : String(cell ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {Cell[][]} rows The first one are titles. */
export const csv = (rows) => `\ufeff${rows.map((row) => `${row.map(written).join(",")}\r\n`).join("")}`;

/** A moment as spreadsheets know it, in the viewer's zone. @param {number | null | undefined} at */
export function moment(at) {
  if (at === null || at === undefined) {
    return "";
  }
  const date = new Date(at);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}

/**
 * Has the browser save a table.
 *
 * @param {string} name without ".csv"
 * @param {Cell[][]} rows
 */
export function save(name, rows) {
  const address = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `${name.replace(/[^\p{L}\p{N}._-]+/gu, "-")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
