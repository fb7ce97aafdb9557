// The servers: how each is, and what is wrong.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** The view. */
export function Servers() {
  return html`<h2>${t("views.servers")}</h2>`;
}
