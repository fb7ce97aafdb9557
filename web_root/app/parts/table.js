// A table of any number of rows, of which only those in sight are in the document.
//
// Rows have one height, so that which are in sight is arithmetic. Arrow keys, Home, End and the page
// keys move the active row, Enter opens it. The order of the rows is the caller's.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/ui.js";
import { language, t } from "../text.js";
import { Icon } from "./icon.js";
import { NO_SLOTS, slotsOf } from "./slots.js";

const BEYOND = 6; // rows drawn above and below those in sight, so that scrolling shows no gap
const FIRST_ROWS = 25; // until it is measured how many fit

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} name also the class of its cells, by which CSS gives it a width
 * @property {string} title
 * @property {(row: Row) => any} cell
 * @property {boolean} [sortable]
 */

/** @typedef {{ column: string, descending: boolean }} Order */

/**
 * @template Row
 * @param {object} props
 * @param {string} props.label what the rows are, for screen readers
 * @param {string} props.name class of the table, by which CSS sets `--row-height` and the columns
 * @param {Row[]} props.rows
 * @param {(row: Row) => string} props.keyOf
 * @param {Column<Row>[]} props.columns
 * @param {Order} [props.order]
 * @param {(column: string) => void} [props.onOrder]
 * @param {(row: Row) => void} [props.onOpen]
 * @param {(row: Row) => string} [props.classOf]
 */
export function Table({ label, name, rows, keyOf, columns, order, onOrder, onOpen, classOf }) {
  const body = useRef(/** @type {HTMLElement | null} */ (null));
  const { first, last, height } = useWindow(body, rows.length);
  const [activeKey, setActive] = useState(/** @type {string | null} */ (null));
  const active = activeKey === null ? 0 : Math.max(0, rows.findIndex((row) => keyOf(row) === activeKey));
  const wantsFocus = useRef(false);
  useLayoutEffect(() => {
    // The row may not be there yet: it comes with the drawing that follows the scrolling.
    const row = /** @type {HTMLElement | null} */ (body.current?.querySelector('[data-active="true"]'));
    if (wantsFocus.current && row) {
      wantsFocus.current = false;
      row.focus({ preventScroll: true });
    }
  });

  /** @param {number} index */
  const moveTo = (index) => {
    const to = Math.min(Math.max(index, 0), rows.length - 1);
    const row = rows[to];
    if (row !== undefined) {
      setActive(keyOf(row));
      wantsFocus.current = true;
      bringIntoSight(body.current, to, height);
    }
  };
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (/** @type {HTMLElement} */ (event.target).closest("button, a, input, select")) {
      return;
    }
    const page = Math.max(1, Math.floor((body.current?.clientHeight ?? 0) / height) - 1);
    /** @type {Record<string, number>} */
    const moves = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: rows.length - 1,
    };
    const to = moves[event.key];
    const row = rows[active];
    if (to !== undefined) {
      event.preventDefault();
      moveTo(to);
    } else if (event.key === "Enter" && row !== undefined) {
      event.preventDefault();
      onOpen?.(row);
    }
  };

  const shown = rows.slice(first, last);
  const keys = shown.map(keyOf);
  const slots = useRef(NO_SLOTS);
  slots.current = slotsOf(slots.current, keys, heldIn(body.current));
  const slotAt = (/** @type {number} */ index) => slots.current.of.get(/** @type {string} */ (keys[index]));
  // The active row is always one that is there, so that Tab finds the table.
  const tabbable = active >= first && active < last ? active : first;
  return html`
    <div class=${`table ${name}`} role="table" aria-label=${label} aria-rowcount=${rows.length + 1}>
      <div class="table-head" role="rowgroup">
        <div class="table-row" role="row" aria-rowindex="1">
          ${columns.map((column) => html`<${Heading} key=${column.name} ...${{ column, order, onOrder }} />`)}
        </div>
      </div>
      <div class="table-body" role="rowgroup" ref=${body} onKeyDown=${onKeyDown}>
        <div class="table-space" style=${{ height: `${rows.length * height}px` }} role="presentation">
          ${shown.map(
            (row, index) => html`
              <div key=${slotAt(index)} data-slot=${slotAt(index)} role="row" aria-rowindex=${first + index + 2}
                class=${`table-row ${classOf?.(row) ?? ""}`}
                style=${{ transform: `translateY(${(first + index) * height}px)` }}
                tabindex=${first + index === tabbable ? 0 : -1}
                data-active=${keys[index] === activeKey ? "true" : undefined}
                onFocus=${() => setActive(keys[index] ?? null)}
                onClick=${() => onOpen?.(row)}>
                <${Cells} row=${row} columns=${columns} />
              </div>
            `,
          )}
        </div>
      </div>
    </div>
  `;
}

/**
 * The cells of a row. They read a signal, and what reads signals is drawn again only if one of them
 * or a property is another: the caller's rows are values, and his columns the same array each time.
 *
 * @param {{ row: any, columns: Column<any>[] }} props
 */
function Cells({ row, columns }) {
  language.value;
  return columns.map(
    ({ name, cell }) => html`<div key=${name} role="cell" class=${`cell ${name}`}>${cell(row)}</div>`,
  );
}

/**
 * @param {{ column: Column<any>, order?: Order, onOrder?: (column: string) => void }} props
 */
function Heading({ column, order, onOrder }) {
  const isOrder = order?.column === column.name;
  const direction = order?.descending ? "descending" : "ascending";
  return html`
    <div role="columnheader" class=${`cell ${column.name}`} aria-sort=${isOrder ? direction : undefined}>
      ${column.sortable && onOrder
        ? html`<button type="button" class="bare" onClick=${() => soon(() => onOrder(column.name))}>
            ${column.title}
            ${isOrder && html`<${Icon} name=${order?.descending ? "down" : "up"} />`}
          </button>`
        : column.title || html`<span class="visually-hidden">${t("table.actions")}</span>`}
    </div>
  `;
}

/**
 * In a task of its own. Another order draws all rows; together with the click and with the layout of
 * what was drawn before, the browser could do nothing else for too long.
 *
 * @param {() => void} act
 */
const soon = (act) => void setTimeout(act);

/**
 * Which rows are in sight.
 *
 * @param {{ current: HTMLElement | null }} body
 * @param {number} count
 */
function useWindow(body, count) {
  const [window, setWindow] = useState({ first: 0, last: FIRST_ROWS, height: 48 });
  useEffect(() => {
    const element = body.current;
    if (element === null) {
      return;
    }
    let height = rowHeight(element);
    const measure = () => {
      const first = Math.max(0, Math.floor(element.scrollTop / height) - BEYOND);
      const last = Math.ceil((element.scrollTop + element.clientHeight) / height) + BEYOND;
      setWindow((before) =>
        before.first === first && before.last === last && before.height === height
          ? before
          : { first, last, height },
      );
    };
    const resize = () => {
      height = rowHeight(element);
      measure();
    };
    measure();
    element.addEventListener("scroll", measure, { passive: true });
    const observer = new ResizeObserver(resize);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", measure);
      observer.disconnect();
    };
  }, []);
  // Fewer rows than before: the browser scrolls back, but tells of it only after this drawing.
  const first = Math.min(window.first, Math.max(0, count - (window.last - window.first)));
  return { ...window, first, last: Math.min(count, window.last) };
}

/**
 * The elements that must not show another row: a click or a key would do to that what was meant for
 * the one that left.
 *
 * @param {HTMLElement | null} body
 * @returns {Set<number>}
 */
function heldIn(body) {
  const rows = body?.querySelectorAll(".table-row:is(:hover, :focus-within)") ?? [];
  return new Set([...rows].map((row) => Number(/** @type {HTMLElement} */ (row).dataset["slot"])));
}

/**
 * `--row-height` in pixels: CSS says it in rem, and by the width of the screen.
 *
 * @param {HTMLElement} element
 */
function rowHeight(element) {
  const probe = document.createElement("div");
  probe.className = "table-probe";
  element.append(probe);
  const height = probe.getBoundingClientRect().height;
  probe.remove();
  return height || 48;
}

/**
 * @param {HTMLElement | null} element
 * @param {number} index
 * @param {number} height
 */
function bringIntoSight(element, index, height) {
  if (element === null) {
    return;
  }
  const top = index * height;
  if (top < element.scrollTop) {
    element.scrollTop = top;
  } else if (top + height > element.scrollTop + element.clientHeight) {
    element.scrollTop = top + height - element.clientHeight;
  }
}
