"""What headers mean: words of ours for the server's, and what the name of a channel says."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Any, Final

INTERN: Final = sys.intern  # compiled code looks up no constant, but any other name

# main/channel.c, ast_state2str, Asterisk 11 to 23
STATES: Final = {
    "Down": "down",
    "Rsrvd": "reserved",
    "OffHook": "off_hook",
    "Dialing": "dialing",
    "Ring": "ring",
    "Ringing": "ringing",
    "Up": "up",
    "Busy": "busy",
    "Dialing Offhook": "dialing_off_hook",
    "Pre-ring": "pre_ring",
    "Mute": "mute",
    "Unknown": "unknown",
}
"""The states of channels."""

UNKNOWN: Final = frozenset({"", "<unknown>", "unknown", "<null>"})
"""What Asterisk writes for a number or name that it does not know."""

EMPTY: Final = frozenset({"", "(null)"})
"""What it writes for other texts that are none."""

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SERIAL: Final = re.compile(r"-[0-9a-f]+$")
_PHONE: Final = re.compile(r"\+?[0-9*#]+")
_DIALLED: Final = re.compile(r"\+?[0-9*#]{2,}")
_NAMED_PHONES: Final = frozenset({"IAX2", "Local", "PJSIP", "SCCP", "SIP", "Skinny"})
_NO_EXTENSIONS: Final = frozenset({"s", "i", "h", "t", "T", "e", "o", "a", "failed"})


def known(text: str) -> str | None:
    """A number or name, None for what Asterisk writes where it knows none.

    Kept once: the same stands at both ends of a call, and in the way that it took.
    """
    return None if text in UNKNOWN else INTERN(text)


def state_word(text: str) -> str:
    """Our word for the state of a channel."""
    return STATES.get(text) or text.lower()


def filled(text: str) -> str | None:
    """A text, None if empty. Kept once, since few such texts occur often."""
    return None if text in EMPTY else INTERN(text)


def unescaped(text: str) -> str:
    """What was written, of a text escaped as in C (main/utils.c, ast_escape_c; 12 on)."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)


def extension(text: str | None) -> str | None:
    """What somebody dialled; None for the extensions that Asterisk has for itself."""
    return None if not text or text in _NO_EXTENSIONS else text


def milliseconds(timestamp: str | None) -> int | None:
    """A ``Timestamp`` (seconds with a fraction) in milliseconds; None if it is none."""
    try:
        return None if timestamp is None else round(float(timestamp) * 1000)
    except (ValueError, OverflowError):
        return None


@lru_cache(256)  # causes are few
def number(text: str | None) -> int | None:
    """A header that is a whole number; None if it is none."""
    return int(text) if text is not None and text.lstrip("-").isdecimal() else None


@lru_cache(256)  # as are their texts
def last_words(cause: str | None, text: str | None) -> dict[str, Any]:
    """What a Hangup tells of an end: one dict for all that end alike, which is never changed."""
    return {"cause": number(cause), "cause_text": known(text or "")}


def local_base(name: str) -> str | None:
    """The name of a Local channel without its half; None for any other channel.

    ``Local/203@phones-00000003;1`` and ``…;2`` are two halves of one.
    """
    return name[:-2] if name.startswith("Local/") and name[-2:] in (";1", ";2") else None


def device_of(name: str) -> str:
    """The phone or trunk that a channel is named after.

    ``IAX2/201-11947`` is 201, ``DAHDI/i1/0301234-5`` is ``i1/0301234``,
    ``Local/203@phones-00000003;1`` is 203: the number that was called.
    """
    device = name.partition("/")[2] or name
    if name.startswith("Local/"):
        return INTERN(device.partition("@")[0])
    return INTERN(_SERIAL.sub("", device.partition("<")[0]))


def is_phone(device: str) -> bool:
    """Whether a device is called by its number, as most phones are."""
    return _PHONE.fullmatch(device) is not None


def number_of(interface: str) -> str | None:
    """The number of the phone that a device, or a member of a queue, is.

    ``PJSIP/201`` is 201, as is ``Local/201@queue/n``. None if a phone is not named by its number;
    nor is ``DAHDI/1`` the phone 1, or ``Agent/201`` a phone.
    """
    technology, _, device = interface.partition("/")
    if technology not in _NAMED_PHONES:
        return None
    if technology == "Local":
        device = device.partition("@")[0]
    return device if is_phone(device) else None


def is_outside(number: str) -> bool:
    """Whether a number is longer than extensions are."""
    return number.startswith("+") or len(number) > 6


def dialled_number(dial_string: str, device: str) -> str | None:
    """The number that a dial string asks a trunk for; None if it names nothing but a device.

    ``pbx@203/203``, ``+4930123@trunk``, ``trunk/030123``, ``trunk/sip:030123@host``.
    """
    for piece in re.split(r"[/@:,&]", dial_string):
        if piece != device and _DIALLED.fullmatch(piece):
            return piece
    return None


_UNIQUEID: Final = re.compile(r"(?:.*-)?([0-9]+)\.([0-9]+)")


def age(linkedid: str) -> tuple[int, int] | None:
    """When the first channel of a Linkedid was made, to compare; None if it does not say so.

    main/channel_internal_api.c: [system-]seconds.serial, unless Originate chose it.
    """
    found = _UNIQUEID.fullmatch(linkedid)
    return None if found is None else (int(found[1]), int(found[2]))
