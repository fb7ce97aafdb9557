// Whom somebody in a call is with. No drawing and no signals: values in, values out.

/** @typedef {import("../lib/amiws.js").Entity} Entity */

/**
 * Whom the caller is with, or who is called; null where nobody is: of a parked call, or one that was
 * passed on, who was called may be the one who is left.
 *
 * @param {Entity} call
 */
export function partnerOf(call) {
  const company = call["callee"] ?? call["ringing"][0];
  const { caller, called, dialled } = call;
  if (company || (called && called.channel === caller?.channel)) {
    return company ?? null;
  }
  return called ?? (dialled ? { number: dialled } : null);
}
