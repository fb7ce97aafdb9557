// Charts and the map of destinations.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** The view. */
export function Map() {
  return html`<h2>${t("views.map")}</h2>`;
}
