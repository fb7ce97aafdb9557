// How tiles are laid out on a screen: as many as can be read from afar, the others on further pages.

/** @typedef {{ columns: number, rows: number, pages: number, perPage: number }} Layout */

/** The largest grids, by the shape of the screen. */
const WIDE = { columns: 3, rows: 2 };
const TALL = { columns: 1, rows: 3 };

/**
 * @param {number} count Of tiles.
 * @param {number} width Of the screen.
 * @param {number} height
 * @returns {Layout} pages of about the same size, the first ones the fuller
 */
export function layoutOf(count, width, height) {
  const most = width >= height ? WIDE : TALL;
  const pages = Math.max(1, Math.ceil(count / (most.columns * most.rows)));
  const perPage = Math.ceil(count / pages);
  const isOneRow = perPage <= most.columns;
  const columns = isOneRow ? perPage : Math.min(most.columns, Math.ceil(perPage / most.rows));
  return { columns, rows: Math.max(1, Math.ceil(perPage / Math.max(1, columns))), pages, perPage };
}

/**
 * @template Tile
 * @param {Tile[]} tiles
 * @param {Layout} layout
 * @param {number} page from 0
 */
export const pageOf = (tiles, { perPage }, page) => tiles.slice(page * perPage, (page + 1) * perPage);
