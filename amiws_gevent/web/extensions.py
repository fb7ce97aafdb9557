"""Which extension of the WebSocket client and server agree on (RFC 6455, section 9; RFC 7692).

There is one, permessage-deflate. A client makes offers, the one that it likes best first; the
first that can be kept to the letter is accepted. With none, messages are not compressed, which
every client understands. So nothing in the header is an error: what cannot be read is no offer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from amiws_gevent.views import Encoding
from amiws_gevent.web.deflate import WINDOW_BITS
from amiws_gevent.web.frames import deflated_alone, deflated_frames

NAME = "permessage-deflate"

_MOST_OFFERS = 16  # that are looked at; a browser makes one or two
_BITS = frozenset(map(str, range(8, 16)))


@dataclass(frozen=True)
class Agreement:
    """permessage-deflate, as client and server have agreed on it.

    What the client sends never refers to an earlier message of its own, so that nothing has to
    be kept of them. ``alone``: the same goes for what it is sent, as it has asked for.
    ``names_bits``: it wants to be told how large our windows are.
    """

    alone: bool = False
    names_bits: bool = False

    @property
    def header(self) -> str:
        """What the client is told, of ``Sec-WebSocket-Extensions``."""
        words = [NAME, "client_no_context_takeover"]
        if self.alone:
            words.append("server_no_context_takeover")
        if self.names_bits:
            words.append(f"server_max_window_bits={WINDOW_BITS}")
        return "; ".join(words)

    @property
    def encode(self) -> Encoding:
        """How messages become bytes for the client."""
        return deflated_alone if self.alone else deflated_frames


def agree(headers: Sequence[str]) -> Agreement | None:
    """What comes of a client's ``Sec-WebSocket-Extensions``; None: no extension."""
    offers = (offer for header in headers for offer in header.split(","))
    for offer in islice(offers, _MOST_OFFERS):
        name, *parameters = (part.strip(" \t") for part in offer.split(";"))
        if name.lower() == NAME and (agreed := _accept(parameters)) is not None:
            return agreed
    return None


def _accept(parameters: Sequence[str]) -> Agreement | None:
    """What is agreed on if this is accepted; None if it cannot be (RFC 7692, section 7.1)."""
    given: dict[str, str | None] = {}
    for parameter in parameters:
        name, has_value, text = (part.strip(" \t") for part in parameter.partition("="))
        value = _unquoted(text) if has_value else None
        if name in given or not _is_valid(name, value):
            return None
        given[name] = value
    bits = given.get("server_max_window_bits")
    if bits not in (None, str(WINDOW_BITS)):  # a smaller window is a stream of its own
        return None
    return Agreement("server_no_context_takeover" in given, bits is not None)


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if quoted else value


def _is_valid(name: str, value: str | None) -> bool:
    match name:
        case "server_no_context_takeover" | "client_no_context_takeover":
            return value is None
        case "server_max_window_bits":
            return value in _BITS
        case "client_max_window_bits":
            return value is None or value in _BITS
    return False
