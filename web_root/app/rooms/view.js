// Conferences and parking lots.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** The view. */
export function Rooms() {
  return html`<h2>${t("views.rooms")}</h2>`;
}
