// Values as a person reads them. Pure functions: text in, text out.

// Country calling codes of one and two digits (ITU-T E.164); every other one has three.
const ONE_DIGIT_CODES = new Set(["1", "7"]);
const TWO_DIGIT_CODES = new Set(
  (
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 " +
    "60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98"
  ).split(" "),
);

// Shorter ones are extensions and service numbers, which are read as one word.
const SHORTEST_GROUPED = 7;

// Many trunks leave the plus sign out; no national number is that long without a leading 0.
const SHORTEST_WITHOUT_PLUS = 11;

/** "+4930123456789" becomes "+49 301 234 567 89"; what is not a number stays as it is. */
export function phoneNumber(number) {
  const parts = /^(\+|00)?([0-9]+)$/.exec(number);
  if (!parts || parts[2].length < SHORTEST_GROUPED) {
    return number;
  }
  const [, prefix = "", digits] = parts;
  if (!prefix && (digits[0] === "0" || digits.length < SHORTEST_WITHOUT_PLUS)) {
    return inGroups(digits);
  }
  const code = countryCode(digits);
  const start = prefix === "00" ? "00 " : prefix;
  return `${start}${code} ${inGroups(digits.slice(code.length))}`;
}

function countryCode(digits) {
  if (ONE_DIGIT_CODES.has(digits[0])) {
    return digits[0];
  }
  const two = digits.slice(0, 2);
  return TWO_DIGIT_CODES.has(two) ? two : digits.slice(0, 3);
}

// Threes, with no single digit left over: 555 123 4567, 301 234 56.
function inGroups(digits) {
  const groups = digits.match(/.{1,3}/g) ?? [];
  if (groups.length > 1 && groups.at(-1).length === 1) {
    const last = groups.pop();
    groups.push(groups.pop() + last);
  }
  return groups.join(" ");
}

/** Milliseconds as "0:07", "12:34" or "1:02:03". */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const pad = (value) => String(value).padStart(2, "0");
  const rest = `${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  const hours = Math.floor(seconds / 3600);
  return hours ? `${hours}:${rest}` : rest.replace(/^0/, "");
}

/** "00:02:05", as Asterisk's lists have it, in milliseconds; 0 for anything else. */
export function parseDuration(text) {
  const parts = /^(\d+):(\d\d):(\d\d)$/.exec(text);
  return parts ? ((Number(parts[1]) * 60 + Number(parts[2])) * 60 + Number(parts[3])) * 1000 : 0;
}

/** A time of day in the reader's own way: "14:05" or "2:05 PM". */
export function timeOfDay(milliseconds) {
  return new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(milliseconds);
}

/** "1 call", "12 calls", "1,204 calls". */
export function counted(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}
