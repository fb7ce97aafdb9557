// Texts, numbers and times in the language and zone of the viewer.

import { computed, effect, signal } from "../vendor/ui.js";
import { chosenLanguage } from "./settings.js";
import english from "./texts/en.js";

/** @typedef {string | { one?: string, few?: string, many?: string, other: string }} Text */
/** @typedef {{ [name: string]: Text | Texts }} Texts */

export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français" };

/** @type {Record<string, () => Promise<{ default: Texts }>>} */
const OTHERS = {
  de: () => import("./texts/de.js"),
  fr: () => import("./texts/fr.js"),
};

const wanted = computed(() => {
  const choices = [chosenLanguage.value, ...navigator.languages];
  const known = choices.map((tag) => tag.slice(0, 2).toLowerCase()).find((code) => code in LANGUAGES);
  return known ?? "en";
});

/** The language of the texts that are shown, a code such as "de". */
export const language = signal("en");

/** @type {import("../vendor/ui.js").Signal<Texts>} */
const texts = signal(english);

/** How times and numbers are written: the viewer's own way of the language, such as "de-AT". */
const locale = computed(
  () => navigator.languages.find((tag) => tag.startsWith(language.value)) ?? language.value,
);

effect(() => {
  const code = wanted.value;
  const loading = OTHERS[code]?.() ?? Promise.resolve({ default: english });
  loading.then(({ default: loaded }) => {
    if (code === wanted.value) {
      texts.value = loaded;
      language.value = code;
      document.documentElement.lang = code;
    }
  }, reportError);
});

/**
 * The text of that name (`"calls.none"`), its `{places}` filled. A text with forms for counts takes
 * the one for `values.count`. English stands in for what a language lacks.
 *
 * @param {string} name
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(name, values = {}) {
  const text = known.value.get(name) ?? look(name);
  const chosen =
    typeof text === "string"
      ? text
      : (text[/** @type {"one"} */ (plurals.value.select(Number(values["count"])))] ?? text.other);
  return chosen.replace(/\{(\w+)\}/g, (place, key) => {
    const value = values[key];
    return value === undefined ? place : typeof value === "number" ? count(value) : value;
  });
}

const plurals = computed(() => new Intl.PluralRules(language.value));

/** What was found in the language of now: a table of calls asks a hundred times for a few texts. */
const known = computed(() => (texts.value, /** @type {Map<string, Text>} */ (new Map())));

/** @param {string} name */
function look(name) {
  const text = find(texts.value, name) ?? find(english, name);
  if (text !== undefined) {
    known.value.set(name, text);
  }
  return text ?? name;
}

/**
 * @param {Texts} among
 * @param {string} name
 * @returns {Text | undefined}
 */
function find(among, name) {
  /** @type {any} */
  let found = among;
  for (const part of name.split(".")) {
    found = found?.[part];
  }
  return found;
}

const counts = computed(() => new Intl.NumberFormat(locale.value));
const decimals = computed(() => new Intl.NumberFormat(locale.value, { maximumFractionDigits: 1 }));
const times = computed(() => new Intl.DateTimeFormat(locale.value, { timeStyle: "medium" }));
const shortTimes = computed(() => new Intl.DateTimeFormat(locale.value, { timeStyle: "short" }));
const days = computed(
  () => new Intl.DateTimeFormat(locale.value, { dateStyle: "medium", timeStyle: "short" }),
);
const collator = computed(() => new Intl.Collator(locale.value, { numeric: true }));

/** @param {number} value A whole number. */
export const count = (value) => counts.value.format(value);

/** @param {number} value With one digit behind the point. */
export const decimal = (value) => decimals.value.format(value);

/** @param {number} share Between 0 and 1. */
export const percent = (share) =>
  new Intl.NumberFormat(locale.value, { style: "percent" }).format(share);

/** @param {number | null} at Milliseconds since 1970. */
export const timeOfDay = (at) => (at === null ? "" : times.value.format(at));

/** @param {number} at Milliseconds since 1970; without seconds. */
export const shortTime = (at) => shortTimes.value.format(at);

/** @param {number | null} at Milliseconds since 1970. */
export const dayAndTime = (at) => (at === null ? "" : days.value.format(at));

const dates = computed(() => new Intl.DateTimeFormat(locale.value, { dateStyle: "medium" }));

/** @param {number} at Milliseconds since 1970. */
export const day = (at) => dates.value.format(at);

const countryNames = computed(() => new Intl.DisplayNames(language.value, { type: "region" }));

/** @param {string} country Two letters of ISO 3166-1, or none. */
export const countryName = (country) => (country === "" ? "" : (countryNames.value.of(country) ?? country));

/**
 * For sorting texts as people do: 9 before 10.
 *
 * @param {string} one
 * @param {string} other
 */
export const compare = (one, other) => collator.value.compare(one, other);

const PLAIN = /^[a-z0-9 ]*$/;
const DIGITS = /\d+/g;
const LONGEST_NUMBER = 20; // digits

/**
 * Compares values as `compare` does, by a text that each has: for thousands of them. The collator
 * takes some microseconds for a pair. Plain letters, digits and spaces need none: they are in the
 * order of their characters, once numbers are filled with noughts.
 *
 * @template {object} Item
 * @param {(item: Item) => string} textOf of an item always the same
 * @returns {(one: Item, other: Item) => number}
 */
export function byText(textOf) {
  /** @type {WeakMap<Item, Key>} */
  const keys = new WeakMap();
  /** @param {Item} item */
  const key = (item) => {
    let found = keys.get(item);
    if (found === undefined) {
      found = keyOf(textOf(item));
      keys.set(item, found);
    }
    return found;
  };
  return (one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a.plain === null || b.plain === null) {
      return compare(a.text, b.text);
    }
    return a.plain < b.plain ? -1 : a.plain > b.plain ? 1 : 0;
  };
}

/** @typedef {{ text: string, plain: string | null }} Key */

/**
 * @param {string} text
 * @returns {Key}
 */
function keyOf(text) {
  const small = text.toLowerCase();
  const plain = PLAIN.test(small) ? small.replace(DIGITS, (digits) => digits.padStart(LONGEST_NUMBER, "0")) : null;
  return { text, plain };
}

/**
 * `0:07`, `12:34`, `1:02:03`.
 *
 * @param {number} milliseconds Less than 0 counts as 0: clocks may be set back.
 */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const tail = `${String(seconds % 60).padStart(2, "0")}`;
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}
