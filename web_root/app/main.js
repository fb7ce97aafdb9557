// Where the dashboard begins: index.html loads this.

import { html, render } from "../vendor/ui.js";
import { App } from "./app.js";
import { amiws } from "./live.js";
import { loadNumbers } from "./numbers.js";
import { alarmNotes, alarmSound } from "./settings.js";

const place = /** @type {HTMLElement} */ (document.getElementById("app"));
place.replaceChildren();
render(html`<${App} />`, place);

// Once there is something to see: flags and the writing of numbers. If it cannot be loaded, the next
// connection tries again; until then numbers stay as they are.
amiws.on("hello", () => void loadNumbers().catch((error) => console.warn(error)));

// Who has asked to be told of alarms is told whatever view is open.
if (alarmNotes.peek() || alarmSound.peek()) {
  import("./queues/bells.js").catch(reportError);
}
