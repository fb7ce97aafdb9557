// Queues: who waits, who serves them.

import { html } from "../../vendor/ui.js";
import { t } from "../text.js";

/** The view. */
export function Queues() {
  return html`<h2>${t("views.queues")}</h2>`;
}
