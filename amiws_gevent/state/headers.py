"""Headers of messages as values: what is unknown is None, whatever words a server has for it.

Names are looked up as Asterisk's source spells them, which is a look-up in a dict; those of a
caller in any case, since 11 has ``CallerIDnum`` and ``UniqueID`` in places.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from amiws_gevent.ami import Message
from amiws_gevent.state.words import unescaped

UNKNOWN: Final = frozenset(
    {"", "unknown", "<unknown>", "<no name>", "<none>", "(null)", "-none-", "n/a"}
)
"""What Asterisk writes for a text that it does not know, folded."""


class Caller(NamedTuple):
    """Who a channel is."""

    channel: str | None
    uniqueid: str | None
    number: str | None
    name: str | None


def text(message: Message, *names: str) -> str | None:
    """The first of these headers that is there and says something."""
    values = message.values
    for name in names:
        value = values.get(name)
        if value is not None and value.casefold() not in UNKNOWN:
            return value
    return None


def whole(message: Message, name: str) -> int | None:
    """A whole number; None if the header is missing or is none."""
    value = message.values.get(name)
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        return None


def fraction(message: Message, name: str) -> float | None:
    """A number, whatever unit may stand behind it; None if there is none."""
    words = message.values.get(name, "").replace("(", " ").split()
    try:
        return float(words[0])
    except (IndexError, ValueError):
        return None


def flag(message: Message, name: str) -> bool | None:
    """Yes and no in all the words that there are for them; None if the header is missing."""
    value = message.values.get(name)
    return None if value is None else value.casefold() in {"1", "yes", "on", "true", "enabled"}


def since_epoch(message: Message, name: str) -> int | None:
    """A time of the server in milliseconds; None for 0, which means never."""
    seconds = whole(message, name)
    return seconds * 1000 if seconds else None


def caller(message: Message, prefix: str = "") -> Caller:
    """Whose channel it is about.

    From 13 on the name is escaped where the event carries a snapshot of its channel, which is
    known by the channel's state (``ast_manager_build_channel_state_string``); items of lists
    that are written by hand, and Asterisk 11 and 12, have it bare.
    """
    name = _of_any_case(message, f"{prefix}CallerIDName")
    if name is not None and message.has(f"{prefix}ChannelState"):
        name = unescaped(name)
    return Caller(
        _of_any_case(message, f"{prefix}Channel"),
        _of_any_case(message, f"{prefix}Uniqueid"),
        _of_any_case(message, f"{prefix}CallerIDNum"),
        name,
    )


def _of_any_case(message: Message, name: str) -> str | None:
    value = message.get(name)
    return None if value is None or value.casefold() in UNKNOWN else value
