// What somebody may choose on this page: theme, language, the own phone; and what parts add to it.

import { html, signal, useRef } from "../../vendor/ui.js";
import { hello } from "../live.js";
import { chosenLanguage, ownInterface, theme } from "../settings.js";
import { LANGUAGES, t } from "../text.js";
import { Icon } from "./icon.js";

/** Components that other modules have put into the dialog. @type {import("../../vendor/ui.js").Signal<any[]>} */
const more = signal([]);

/** @param {any} component Shown below the others. */
export function addPreference(component) {
  more.value = [...more.value, component];
}

export function Preferences() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  return html`
    <button type="button" class="quiet" aria-label=${t("preferences.title")}
      onClick=${() => dialog.current?.showModal()}>
      <${Icon} name="settings" />
    </button>
    <dialog ref=${dialog} aria-labelledby="preferences">
      <form method="dialog">
        <h2 id="preferences">${t("preferences.title")}</h2>
        <${Choice} name="theme" value=${theme}
          options=${["system", "light", "dark"].map((one) => [one, t(`preferences.${one}`)])} />
        <${Choice} name="language" value=${chosenLanguage}
          options=${[["", t("preferences.browser")], ...Object.entries(LANGUAGES)]} />
        <p class="field">
          <label for="own-interface">${t("preferences.own_interface")}</label>
          <input id="own-interface" value=${ownInterface} placeholder="PJSIP/201" autocomplete="off"
            onInput=${(/** @type {InputEvent} */ event) =>
              (ownInterface.value = /** @type {HTMLInputElement} */ (event.currentTarget).value.trim())} />
          <small>${t("preferences.own_interface_hint")}</small>
        </p>
        ${more.value.map((component, index) => html`<${component} key=${index} />`)}
        <p class="about">${about()}</p>
        <div class="buttons"><button type="submit" class="primary">${t("app.close")}</button></div>
      </form>
    </dialog>
  `;
}

function about() {
  const told = hello.value;
  const user = told?.user ? ` · ${told.user}` : "";
  return told === null ? "" : `amiws-gevent ${told.version}${user}`;
}

/**
 * @param {{ name: string, value: import("../../vendor/ui.js").Signal<string>,
 *   options: [string, string][] }} props
 */
function Choice({ name, value, options }) {
  return html`
    <p class="field">
      <label for=${`choose-${name}`}>${t(`preferences.${name}`)}</label>
      <select id=${`choose-${name}`} onChange=${(/** @type {Event} */ event) =>
        (value.value = /** @type {HTMLSelectElement} */ (event.currentTarget).value)}>
        ${options.map(
          ([option, text]) =>
            html`<option key=${option} value=${option} selected=${option === value.value}>${text}</option>`,
        )}
      </select>
    </p>
  `;
}
