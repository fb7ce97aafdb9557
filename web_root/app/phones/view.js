// Extensions and phones, by state.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** The view. */
export function Phones() {
  return html`<h2>${t("views.phones")}</h2>`;
}
