// The frame of all views: head, menu, what is wrong with the connection, questions and answers.

import { html, useEffect, useRef, useState } from "../vendor/ui.js";
import { hello, kind, lostServers, now, status, useEntities, amiws } from "./live.js";
import { Dialogs } from "./parts/dialog.js";
import { Icon } from "./parts/icon.js";
import { Loaded } from "./parts/loaded.js";
import { Notices } from "./parts/notices.js";
import { Preferences } from "./parts/preferences.js";
import { addressOf, route } from "./route.js";
import { duration, t, timeOfDay } from "./text.js";
import { firstView, loadWall, VIEWS } from "./views.js";

/** The whole page. */
export function App() {
  const { view } = route.value;
  if (view === "wall") {
    return html`<${Title} /><${Connection} /><${Loaded} load=${loadWall} key="wall" />`;
  }
  const shown = VIEWS.find(({ name }) => name === view) ?? firstView();
  return html`
    <${Title} />
    <a class="skip" href="#main">${t("app.skip")}</a>
    <${Head} current=${shown?.name} />
    <${Connection} />
    <${Servers} current=${shown?.name} />
    <main id="main" tabindex="-1">
      <h1 class="visually-hidden">${t(`views.${shown?.name}`)}</h1>
      <${Loaded} load=${shown?.load} ready=${shown?.ready} key=${shown?.name} />
    </main>
    <${Dialogs} />
    <${Notices} />
  `;
}

/** The title counts calls, so that the tab tells them. By itself: calls come all the time. */
function Title() {
  const calls = useEntities("call").length;
  const isLoaded = kind("call").isLoaded.value;
  const title = isLoaded ? `${t("app.calls", { count: calls })} – amiws-gevent` : "amiws-gevent";
  useEffect(() => {
    document.title = title;
  }, [title]);
  return null;
}

/** @param {{ current: string | undefined }} props */
function Head({ current }) {
  const menu = useRef(/** @type {HTMLElement | null} */ (null));
  const offered = VIEWS.filter(({ isOffered }) => isOffered?.() ?? true);
  useEffect(() => {
    // On a phone the menu is wider than the screen.
    menu.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [current, offered.length]);
  return html`
    <header class="head">
      <img class="logo" src="icon.svg" alt="amiws-gevent" width="32" height="32" />
      <nav aria-label=${t("app.menu")} ref=${menu}>
        <ul>
          ${offered.map(
            ({ name, icon }) => html`
              <li key=${name}>
                <a href=${addressOf(name)} aria-current=${name === current ? "page" : undefined}>
                  <${Icon} name=${icon} /><span>${t(`views.${name}`)}</span>
                </a>
              </li>
            `,
          )}
        </ul>
      </nav>
      <${Clock} />
      <a class="button quiet" href=${addressOf("wall")}>
        <${Icon} name="wall" /><span>${t("views.wall")}</span>
      </a>
      <${Preferences} />
    </header>
  `;
}

function Clock() {
  return html`<p class="clock" aria-hidden="true">${timeOfDay(now.value)}</p>`;
}

/** What is wrong with the connection, while something is. */
function Connection() {
  const { state, reason, retryAt } = status.value;
  const [lostAt, setLostAt] = useState(/** @type {number | null} */ (null));
  const isLost = state === "lost" || state === "refused";
  useEffect(() => {
    if (isLost) {
      setLostAt((before) => before ?? Date.now());
    } else if (state === "live") {
      setLostAt(null);
    }
  }, [state]);
  if (lostAt === null || state === "live") {
    return null;
  }
  return html`
    <div class="alarm" role="alert">
      <p>
        <strong>${t(lossText(), { reason })}</strong>
        ${hello.value !== null && html` <span>${t("connection.as_of", { time: timeOfDay(lostAt) })}</span>`}
      </p>
      <p aria-live="off">
        ${isLost
          ? html`${retryAt !== null && t("connection.retry", { time: (now.value, duration(retryAt - Date.now())) })}
              <button type="button" onClick=${() => amiws.reconnect()}>
                ${t(retryAt === null ? "connection.log_in" : "connection.now")}
              </button>`
          : t("connection.trying")}
      </p>
    </div>
  `;
}

/**
 * Why some things are grey. The view of servers says it itself.
 *
 * @param {{ current: string | undefined }} props
 */
function Servers({ current }) {
  const names = lostServers.value.join(", ");
  return (
    names !== "" &&
    status.value.state === "live" &&
    current !== "servers" &&
    html`<p class="alarm some" role="status">
      <a href=${addressOf("servers")} title=${names}>${t("connection.servers", { server: names })}</a>
    </p>`
  );
}

function lossText() {
  if (status.value.state === "refused" && status.value.retryAt === null) {
    return "connection.logged_out";
  }
  return hello.value === null ? "connection.never" : "connection.lost";
}
