// Alarms that reach somebody who looks elsewhere: a notification, a sound. Both only after a click
// that asks for them, and kept from then on.

import { effect, html } from "../../vendor/ui.js";
import { tell } from "../actions.js";
import { hold, kind, now, serverNames } from "../live.js";
import { Icon } from "../parts/icon.js";
import { addressOf } from "../route.js";
import { alarmNotes, alarmSound } from "../settings.js";
import { t } from "../text.js";
import { alarmsOf, limitsOf } from "./alarms.js";
import { lines } from "./model.js";

/** @typedef {import("./model.js").Line} Line */
/** @typedef {import("./alarms.js").Alarm} Alarm */

/** @type {AudioContext | null} */
let audio = null;

/** Browsers let a page sound only after a click or key; so this is called in one. */
function wake() {
  audio ??= new AudioContext();
  audio.resume();
}

/** Two short tones. */
function sound() {
  if (audio?.state !== "running") {
    return;
  }
  for (const [start, pitch] of [[0, 660], [0.22, 880]]) {
    const at = audio.currentTime + /** @type {number} */ (start);
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = /** @type {number} */ (pitch);
    volume.gain.setValueAtTime(0.0001, at);
    volume.gain.exponentialRampToValueAtTime(0.3, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.2);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.22);
  }
}

/** @param {Line} line @param {Alarm} alarm */
function notify({ key, queue }, { what, text }) {
  const server = serverNames.value.get(queue.server) ?? "";
  const note = new Notification(queue.id, { body: [text, server].filter(Boolean).join(" · "), tag: `${key} ${what}` });
  note.addEventListener("click", () => {
    window.focus();
    location.hash = addressOf("queues", { server: String(queue.server), queue: queue.id });
  });
}

/** The alarms that there are, by queue and kind; null: nobody has asked to be told. @type {Set<string> | null} */
let known = null;

function watch() {
  if (!(alarmSound.value || alarmNotes.value) || !kind("queue").isLoaded.value) {
    known = null;
    return;
  }
  const before = known;
  known = new Set();
  for (const line of lines.value) {
    for (const alarm of alarmsOf(line, limitsOf(line.key), now.value)) {
      const name = `${alarm.what} ${line.key}`;
      known.add(name);
      if (before !== null && !before.has(name)) {
        announce(line, alarm);
      }
    }
  }
}

/** @param {Line} line @param {Alarm} alarm */
function announce(line, alarm) {
  if (alarmSound.peek()) {
    sound();
  }
  if (alarmNotes.peek() && "Notification" in globalThis && Notification.permission === "granted") {
    notify(line, alarm);
  }
}

effect(() => (alarmSound.value || alarmNotes.value ? hold("queue") : undefined));
effect(watch);
if (alarmSound.peek()) {
  addEventListener("pointerdown", wake, { once: true });
  addEventListener("keydown", wake, { once: true });
}

async function toggleNotes() {
  if (!alarmNotes.value && (await Notification.requestPermission()) !== "granted") {
    tell(t("queues.bells.denied"), { isError: true });
    return;
  }
  alarmNotes.value = !alarmNotes.value;
}

function toggleSound() {
  alarmSound.value = !alarmSound.value;
  if (alarmSound.value) {
    wake();
    audio?.resume().then(sound); // so that somebody hears what it will be like
  }
}

/** The two switches. */
export function Bells() {
  return html`
    <div class="bells" role="group" aria-label=${t("queues.bells.title")}>
      <${Switch} icon="sound" text=${t("queues.bells.sound")} on=${alarmSound} onClick=${toggleSound} />
      ${"Notification" in globalThis && isSecureContext &&
      html`<${Switch} icon="bell" text=${t("queues.bells.notify")} on=${alarmNotes} onClick=${toggleNotes} />`}
    </div>
  `;
}

/** @param {{ icon: string, text: string, on: import("../../vendor/ui.js").Signal<boolean>, onClick: () => void }} props */
function Switch({ icon, text, on, onClick }) {
  return html`<button type="button" class="quiet switch" aria-pressed=${String(on.value)} title=${text}
    aria-label=${text} onClick=${onClick}><${Icon} name=${on.value ? icon : `${icon}_off`} /></button>`;
}
