// What this page does on servers: asked for once more, sent, and its answer shown.

import { AmiwsError } from "../lib/amiws.js";
import { signal } from "../vendor/ui.js";
import { amiws, hello, serverNames } from "./live.js";
import { t } from "./text.js";

/** @typedef {import("../lib/amiws.js").Headers} Headers */
/** @typedef {import("../lib/amiws.js").Reply} Reply */

/**
 * A field of a form. `options` makes it a choice, `suggestions` are offered beside free text.
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} [value]
 * @property {string} [hint]
 * @property {boolean} [required]
 * @property {[value: string, label: string][]} [options]
 * @property {string[]} [suggestions]
 */

/**
 * A question to the viewer, shown by parts/dialog.js.
 *
 * @typedef {object} Question
 * @property {string} title
 * @property {string} [text]
 * @property {Field[]} [fields]
 * @property {string} confirm what the button says: the verb
 * @property {boolean} [danger] it ends or takes something
 * @property {(values: Record<string, string> | null) => void} answer null: no
 */

/** @typedef {{ id: number, text: string, isError: boolean }} Notice */

/** @type {import("../vendor/ui.js").Signal<Question | null>} */
export const question = signal(null);

/** Answers that are shown for a while, the newest last. @type {import("../vendor/ui.js").Signal<Notice[]>} */
export const notices = signal([]);

const SHOWN_FOR = 8000; // milliseconds
const MOST_NOTICES = 4;
let lastNotice = 0;

/**
 * Tells the viewer something, for a while.
 *
 * @param {string} text
 * @param {{ isError?: boolean }} [options]
 */
export function tell(text, { isError = false } = {}) {
  lastNotice += 1;
  const id = lastNotice;
  notices.value = [...notices.value, { id, text, isError }].slice(-MOST_NOTICES);
  setTimeout(() => dismiss(id), isError ? 2 * SHOWN_FOR : SHOWN_FOR);
}

/** @param {number} id Of a notice. */
export function dismiss(id) {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/**
 * Asks the viewer, and waits for the answer: the values of the fields, or null for no.
 *
 * @param {Omit<Question, "answer">} what
 * @returns {Promise<Record<string, string> | null>}
 */
export function ask(what) {
  question.value?.answer(null);
  return new Promise((resolve) => {
    question.value = {
      ...what,
      answer: (values) => {
        question.value = null;
        resolve(values);
      },
    };
  });
}

/**
 * Whether this viewer may send an action; what he may not is not offered.
 *
 * @param {string} action
 */
export function mayDo(action) {
  const may = hello.value?.may["action"];
  return may === true || (Array.isArray(may) && may.some((one) => one.toLowerCase() === action.toLowerCase()));
}

/**
 * Sends an action and shows what became of it.
 *
 * @param {number} server
 * @param {Headers} headers
 * @param {{ done: string, wait?: boolean }} options `done` is what to say when it was done
 * @returns {Promise<Reply | null>} null: it was not sent
 */
export async function send(server, headers, { done, wait = false }) {
  try {
    const reply = await amiws.action(server, headers, { wait, idempotencyKey: crypto.randomUUID?.() });
    if (reply.outcome === "answered") {
      tell(done);
    } else {
      const values = { server: serverNames.value.get(server) ?? String(server), reason: reply.reason };
      tell(t(`answer.${reply.outcome}`, values), { isError: true });
    }
    return reply;
  } catch (error) {
    if (!(error instanceof AmiwsError)) {
      throw error;
    }
    tell(error.code === "not_connected" ? t("answer.not_connected") : error.message, { isError: true });
    return null;
  }
}

/**
 * Asks once more, sends an action, and shows what became of it.
 *
 * @param {Omit<Question, "answer"> & { server: number, done: string, wait?: boolean,
 *   headers: Headers | ((values: Record<string, string>) => Headers) }} what
 * @returns {Promise<Reply | null>} null: not sent
 */
export async function act({ server, headers, done, wait, ...what }) {
  const values = await ask(what);
  if (values === null) {
    return null;
  }
  const ready = typeof headers === "function" ? headers(values) : headers;
  return send(server, ready, wait === undefined ? { done } : { done, wait });
}
