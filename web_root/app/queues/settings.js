// What the view of queues adds to the preferences: reasons of pauses, and where numbers are dialled.

import { html } from "../../vendor/ui.js";
import { addPreference } from "../parts/preferences.js";
import { context, setting } from "../settings.js";
import { t } from "../text.js";

/** Reasons of pauses as somebody has written them; none: the usual ones of the language. @type {import("../../vendor/ui.js").Signal<string[]>} */
const ownReasons = setting("pause_reasons", []);

const USUAL = ["lunch", "break", "meeting", "training", "wrap_up", "other"];

/** The reasons that are offered. @returns {string[]} */
export function pauseReasons() {
  return ownReasons.value.length > 0 ? ownReasons.value : USUAL.map((one) => t(`queues.reasons.${one}`));
}

/** @param {string} text One reason a line. */
function setReasons(text) {
  ownReasons.value = text.split("\n").map((line) => line.trim()).filter(Boolean);
}

function QueuePreferences() {
  return html`
    <p class="field">
      <label for="dial-context">${t("queues.preferences.context")}</label>
      <input id="dial-context" value=${context} autocomplete="off"
        onInput=${(/** @type {any} */ event) => (context.value = event.currentTarget.value.trim())} />
      <small>${t("queues.preferences.context_hint")}</small>
    </p>
    <p class="field">
      <label for="pause-reasons">${t("queues.preferences.reasons")}</label>
      <textarea id="pause-reasons" rows="4" defaultValue=${pauseReasons().join("\n")}
        onChange=${(/** @type {any} */ event) => setReasons(event.currentTarget.value)}></textarea>
      <small>${t("queues.preferences.reasons_hint")}</small>
    </p>
  `;
}

addPreference(QueuePreferences);
