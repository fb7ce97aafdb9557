// The question that `ask` of actions.js puts to the viewer, as a modal dialog with a form.

import { html, useEffect, useRef } from "../../vendor/ui.js";
import { question } from "../actions.js";
import { t } from "../text.js";

/** @typedef {import("../actions.js").Field} Field */
/** @typedef {import("../actions.js").Question} Question */

export function Dialogs() {
  const asked = question.value;
  return asked && html`<${Dialog} key=${asked} asked=${asked} />`;
}

/** @param {{ asked: Question }} props */
function Dialog({ asked }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const opener = /** @type {HTMLElement | null} */ (document.activeElement);
    dialog.current?.showModal();
    return () => opener?.focus(); // whose row may be gone: then the browser takes the body
  }, []);
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    const values = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    asked.answer(Object.fromEntries([...values].map(([name, value]) => [name, String(value).trim()])));
  };
  return html`
    <dialog ref=${dialog} aria-labelledby="question" onCancel=${() => asked.answer(null)}
      onClose=${() => question.value === asked && asked.answer(null)}>
      <form onSubmit=${submit}>
        <h2 id="question">${asked.title}</h2>
        ${asked.text && html`<p>${asked.text}</p>`}
        ${(asked.fields ?? []).map((field) => html`<${Entry} key=${field.name} field=${field} />`)}
        <div class="buttons">
          <button type="button" onClick=${() => asked.answer(null)}>${t("app.cancel")}</button>
          <button type="submit" class=${asked.danger ? "danger" : "primary"}>${asked.confirm}</button>
        </div>
      </form>
    </dialog>
  `;
}

/** @param {{ field: Field }} props */
function Entry({ field }) {
  const { name, label, value = "", hint, required = false, options, suggestions } = field;
  const id = `field-${name}`;
  const described = hint === undefined ? undefined : `${id}-hint`;
  return html`
    <p class="field">
      <label for=${id}>${label}</label>
      ${options
        ? html`<select id=${id} name=${name} required=${required} aria-describedby=${described}>
            ${options.map(
              ([option, text]) =>
                html`<option key=${option} value=${option} selected=${option === value}>${text}</option>`,
            )}
          </select>`
        : html`<input id=${id} name=${name} defaultValue=${value} required=${required}
            autocomplete="off" list=${suggestions && `${id}-list`} aria-describedby=${described} />`}
      ${suggestions &&
      html`<datalist id=${`${id}-list`}>
        ${suggestions.map((one) => html`<option key=${one} value=${one}></option>`)}
      </datalist>`}
      ${hint && html`<small id=${described}>${hint}</small>`}
    </p>
  `;
}
