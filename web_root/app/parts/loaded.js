// What is not needed until somebody asks for it: components and styles that are loaded then.

import { html, useEffect, useState } from "../../vendor/ui.js";
import { t } from "../text.js";

/**
 * A component of a module of its own; all other properties are for it.
 *
 * @param {{ load: () => Promise<any>, ready?: any, [property: string]: any }} props
 */
export function Loaded({ load, ready, ...props }) {
  const [component, setComponent] = useState(() => ready ?? null);
  const [isFailed, setFailed] = useState(false);
  useEffect(() => {
    load().then((loaded) => setComponent(() => loaded), (error) => {
      setFailed(true);
      reportError(error);
    });
  }, []);
  if (isFailed) {
    return html`<p class="empty" role="alert">${t("app.not_loaded")}</p>`;
  }
  return component === null
    ? html`<p class="empty">${t("app.loading")}</p>`
    : html`<${component} ...${props} />`;
}

/** @type {Map<string, Promise<void>>} */
const styles = new Map();

/**
 * Loads a style sheet, once; it stays.
 *
 * @param {string} path from this module
 * @returns {Promise<void>} also when it cannot be loaded: a view without its style can be read
 */
export function style(path) {
  let loading = styles.get(path);
  if (loading === undefined) {
    loading = new Promise((resolve) => {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = new URL(path, import.meta.url).href;
      link.onload = link.onerror = () => resolve();
      document.head.append(link);
    });
    styles.set(path, loading);
  }
  return loading;
}
