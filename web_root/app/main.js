// Where the dashboard begins: index.html loads this.

import { html, render } from "../vendor/ui.js";
import { App } from "./app.js";

const place = /** @type {HTMLElement} */ (document.getElementById("app"));
place.replaceChildren();
render(html`<${App} />`, place);
