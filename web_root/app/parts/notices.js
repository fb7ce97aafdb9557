// What `tell` of actions.js says: answers to what the viewer did.

import { html } from "../../vendor/ui.js";
import { dismiss, notices } from "../actions.js";
import { t } from "../text.js";
import { Icon } from "./icon.js";

export function Notices() {
  return html`
    <div class="notices" role="status" aria-live="polite">
      ${notices.value.map(
        ({ id, text, isError }) => html`
          <p key=${id} class=${isError ? "notice error" : "notice"}>
            <span>${text}</span>
            <button type="button" class="bare" aria-label=${t("app.dismiss")} onClick=${() => dismiss(id)}>
              <${Icon} name="close" />
            </button>
          </p>
        `,
      )}
    </div>
  `;
}
