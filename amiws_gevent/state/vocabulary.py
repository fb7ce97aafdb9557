"""One vocabulary for what devices and extensions do, beside the values that servers send.

Asterisk has two number spaces for the same: a device's state (``enum ast_device_state``) is
one number, or its name; that of an extension (``enum ast_extension_states``) is a mask of
bits, as several devices may be behind it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

IDLE: Final = "idle"
IN_USE: Final = "in_use"
BUSY: Final = "busy"
INVALID: Final = "invalid"
UNAVAILABLE: Final = "unavailable"
RINGING: Final = "ringing"
RINGING_IN_USE: Final = "ringing_in_use"
ON_HOLD: Final = "on_hold"
UNKNOWN: Final = "unknown"

_BY_NUMBER: Final = (
    UNKNOWN,
    IDLE,
    IN_USE,
    BUSY,
    INVALID,
    UNAVAILABLE,
    RINGING,
    RINGING_IN_USE,
    ON_HOLD,
)
# main/devicestate.c, devstatestring: the names in events, and the texts in lists of endpoints.
_BY_NAME: Final[Mapping[str, str]] = {
    "unknown": UNKNOWN,
    "not_inuse": IDLE,
    "not in use": IDLE,
    "inuse": IN_USE,
    "in use": IN_USE,
    "busy": BUSY,
    "invalid": INVALID,
    "unavailable": UNAVAILABLE,
    "ringing": RINGING,
    "ringinuse": RINGING_IN_USE,
    "ring+inuse": RINGING_IN_USE,
    "onhold": ON_HOLD,
    "on hold": ON_HOLD,
}
_IN_USE_BIT, _BUSY_BIT, _UNAVAILABLE_BIT, _RINGING_BIT, _HOLD_BIT = 1, 2, 4, 8, 16


def device_word(number: int | None) -> str:
    """The word for the number of a device's state, as members of queues have it."""
    if number is None or not 0 <= number < len(_BY_NUMBER):
        return UNKNOWN
    return _BY_NUMBER[number]


def device_word_of(name: str) -> str:
    """The word for the name of a device's state, as ``DeviceStateChange`` has it."""
    return _BY_NAME.get(name.lower(), UNKNOWN)


def extension_word(mask: int | None) -> str:
    """The word for the mask of an extension's state; what needs a person's attention wins."""
    if mask is None or mask < 0:
        return UNKNOWN
    if mask & _RINGING_BIT:
        return RINGING_IN_USE if mask & _IN_USE_BIT else RINGING
    for bit, word in (
        (_HOLD_BIT, ON_HOLD),
        (_BUSY_BIT, BUSY),
        (_IN_USE_BIT, IN_USE),
        (_UNAVAILABLE_BIT, UNAVAILABLE),
    ):
        if mask & bit:
            return word
    return UNKNOWN if mask else IDLE


def word(value: str | None) -> str:
    """A status as a word: ``Request Sent`` is ``request_sent``."""
    return re.sub(r"[^a-z0-9]+", "_", (value or "").lower()).strip("_") or UNKNOWN
