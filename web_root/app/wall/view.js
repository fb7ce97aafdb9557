// The wallboard: large figures for a screen on the wall.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** The view. */
export function Wall() {
  return html`<h2>${t("views.wall")}</h2>`;
}
