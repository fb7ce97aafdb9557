// The wallboard: large figures for a screen on the wall. Without a choice in the address, the page
// on which one is made.

import { html } from "../../vendor/ui.js";
import { route } from "../route.js";
import { Board } from "./board.js";
import { Chooser } from "./chooser.js";
import { isChosen } from "./choice.js";

/** The view. */
export function Wall() {
  return isChosen(route.value.params) ? html`<${Board} />` : html`<${Chooser} />`;
}
