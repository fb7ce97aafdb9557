// Trunks: registrations, peers and endpoints of carriers.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** The view. */
export function Trunks() {
  return html`<h2>${t("views.trunks")}</h2>`;
}
