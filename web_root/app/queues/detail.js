// One queue: figures, who waits, who serves, who gave up, and what each agent did.

import { html, useEffect, useRef } from "../../vendor/ui.js";
import { ask, mayDo } from "../actions.js";
import { isCurrent, kind, now, serverNames, servers } from "../live.js";
import { Chip } from "../parts/chip.js";
import { Icon } from "../parts/icon.js";
import { count, dayAndTime, duration, percent, t } from "../text.js";
import { add } from "./actions.js";
import { alarmsOf, limit, limitsOf, markOf, setLimits } from "./alarms.js";
import { Bells } from "./bells.js";
import { Waiting } from "./callers.js";
import { Abandoned, Agents } from "./day.js";
import { Members } from "./members.js";
import { levelOf, longestSince } from "./model.js";

/** @typedef {import("./model.js").Line} Line */
/** @typedef {import("./alarms.js").Alarm} Alarm */

/** @param {{ line: Line }} props */
export function Detail({ line }) {
  const { queue, key } = line;
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (document.activeElement === document.body || document.activeElement?.closest(".queue-card")) {
      heading.current?.focus(); // the link that was followed may not be in sight any more
    }
  }, []);
  const alarms = alarmsOf(line, limitsOf(key), now.value);
  return html`
    <article class=${isCurrent(queue.server) ? "queue-one" : "queue-one stale"} aria-labelledby="queue-name">
      <header class="bar">
        <h2 id="queue-name" tabindex="-1" ref=${heading}>${queue.id}</h2>
        ${servers.value.length > 1 && html`<p class="soft">${serverNames.value.get(queue.server)}</p>`}
        ${!isCurrent(queue.server) && html`<${Chip} kind="warning" text=${t("queues.stale")} />`}
        <p class="alarm-texts">${alarms.map(({ what, text }) => html`
          <span key=${what} class="chip" data-kind=${what === "level" ? "warning" : "bad"}><${Icon} name="alert" /> ${text}</span>`)}</p>
        <${Tools} line=${line} />
      </header>
      <${Now} line=${line} alarms=${alarms} />
      <${Today} line=${line} alarms=${alarms} />
      <div class="queue-people">
        <${Waiting} line=${line} />
        <${Members} line=${line} />
      </div>
      <div class="queue-day">
        <${Abandoned} queue=${queue} />
        <${Agents} line=${line} />
      </div>
    </article>
  `;
}

/** @param {{ line: Line }} props */
function Tools({ line }) {
  const { queue } = line;
  const known = kind("queue_member").list.value.filter(({ server }) => server === queue.server);
  const interfaces = () => [...new Set(known.map((member) => String(member["interface"])))].slice(0, 200);
  return html`
    <div class="tools">
      ${mayDo("QueueAdd") && html`<button type="button" onClick=${() => add(queue, interfaces())}>
        <${Icon} name="add" />${t("queues.add_short")}</button>`}
      <button type="button" onClick=${() => askLimits(line)}><${Icon} name="alert" />${t("queues.alarms")}</button>
      <${Bells} />
    </div>
  `;
}

/** @param {Line} line */
async function askLimits({ key, queue }) {
  const { waiting, wait, level } = limitsOf(key);
  const values = await ask({
    title: t("queues.limits.title", { queue: queue.id }),
    text: t("queues.limits.text"),
    confirm: t("queues.limits.save"),
    fields: [
      { name: "waiting", label: t("queues.limits.waiting"), value: String(waiting ?? "") },
      { name: "wait", label: t("queues.limits.wait"), value: String(wait ?? "") },
      { name: "level", label: t("queues.limits.level"), value: String(level ?? "") },
      { name: "scope", label: t("queues.limits.scope"), options: [["", t("queues.limits.all")], [key, t("queues.limits.this")]], value: key },
    ],
  });
  if (values !== null) {
    const limits = { waiting: limit(values["waiting"]), wait: limit(values["wait"]), level: limit(values["level"]) };
    setLimits(values["scope"] ?? "", limits);
    if (values["scope"] === "") {
      setLimits(key, null);
    }
  }
}

/** @param {{ line: Line, alarms: Alarm[] }} props */
function Now({ line, alarms }) {
  const { callers, totals, members } = line;
  const since = longestSince(line);
  return html`
    <dl class="queue-figures now">
      <${Figure} name="waiting" alarms=${alarms} value=${count(callers.length)} />
      <${Figure} name="longest_now" alarm="wait" alarms=${alarms}
        value=${since === null ? "–" : duration(now.value - since)} />
      <${Figure} name="idle" value=${count(totals.idle)}
        tone=${totals.idle === 0 && callers.length > 0 ? "is-warning" : ""} />
      <${Figure} name="talking" value=${count(totals.talking)} />
      <${Figure} name="paused" value=${count(totals.paused)} />
      <${Figure} name="logged_in" value=${count(totals.loggedIn)} note=${t("queues.of_members", { count: members.length })} />
    </dl>
  `;
}

/** @param {{ line: Line, alarms: Alarm[] }} props */
function Today({ line: { queue }, alarms }) {
  const share = (/** @type {number | null} */ level) => (level === null ? "–" : percent(level));
  const seconds = Number(queue["service_level"]);
  return html`
    <dl class="queue-figures day" aria-label=${t("queues.today")}>
      <${Figure} name="entered" value=${count(queue["entered"])} />
      <${Figure} name="answered" value=${count(queue["answered"])} />
      <${Figure} name="abandoned" value=${count(queue["abandoned"])} />
      <${Figure} name="level_answered" alarm="level" alarms=${alarms} value=${share(levelOf(queue, "answered"))}
        note=${t("queues.within", { seconds })} />
      <${Figure} name="level_entered" value=${share(levelOf(queue, "entered"))} note=${t("queues.within", { seconds })} />
      <${Figure} name="longest_wait" value=${duration(queue["longest_wait"] * 1000)} />
    </dl>
    ${queue["incomplete"] && html`<p class="queue-incomplete"><${Icon} name="alert" />
      ${t("queues.incomplete", { since: dayAndTime(queue["counted_since"]) })}</p>`}
  `;
}

/**
 * @param {{ name: string, value: string, note?: string, alarm?: string, alarms?: Alarm[], tone?: string }} props
 */
function Figure({ name, value, note, alarm = name, alarms = [], tone = "" }) {
  return html`
    <div class=${`queue-figure ${markOf(alarms, alarm) || tone}`} data-figure=${name}>
      <dt>${t(`queues.${name}`)}${note && html` <small>${note}</small>`}</dt>
      <dd>${value}</dd>
    </div>
  `;
}
