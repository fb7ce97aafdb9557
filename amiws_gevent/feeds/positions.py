"""A subscription's position: one opaque text for all servers and both streams.

    1 byte    version of the form
    8 bytes   hash of the layout: which servers there are, and their epochs
    4 bytes   hash of the filters, since what has changed of one view says nothing of another
    for each server of the layout, by ascending id, as variable-length numbers:
              offset of its events, offset of its state

all as base64url without padding. Layouts are remembered by hash, the last ones only; so a
text of another process, or of one that has seen too many layouts since, is unknown. Equal
positions are equal texts. It names nothing but the servers that it was made for.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from amiws_gevent.batch import Position

Vector = Mapping[int, Position]
"""By server id, where somebody stands in one stream; never changed in place."""

NOWHERE: Vector = {}

Layout = tuple[tuple[int, str, str], ...]
"""By ascending server id: the id, the epoch of its events, the epoch of its state."""

VERSION = 1
LONGEST = 8192
"""Characters of a text that is looked at: enough for 600 servers with the largest offsets."""

MOST_LAYOUTS = 1024
"""Layouts that are remembered: each choice of servers has one, and a new one with each reload
that changes a server."""

_LAYOUT_HASH, _FILTERS_HASH = 8, 4
_HEAD = 1 + _LAYOUT_HASH + _FILTERS_HASH
_MOST_DIGITS = 10  # of seven bits, in one number


class Place(NamedTuple):
    """What a text says: where its client stood in both streams, and whether of these filters."""

    events: Vector
    state: Vector
    same_filters: bool


class Positions:
    """Makes texts of positions, and positions of the texts that it has made."""

    def __init__(self) -> None:
        self._layouts: dict[bytes, Layout] = {}  # the one used last comes last

    def encode(
        self, servers: Iterable[int], events: Vector, state: Vector, filters: bytes = b""
    ) -> str:
        """The text for these servers; ``filters`` is what stands for the filters."""
        ids = [server for server in sorted(servers) if server in events or server in state]
        nowhere = Position("", 0)
        places = [(events.get(one, nowhere), state.get(one, nowhere)) for one in ids]
        layout = tuple(
            (one, event.epoch, of_state.epoch)
            for one, (event, of_state) in zip(ids, places, strict=True)
        )
        data = bytearray((VERSION,))
        data += self._remember(layout)
        data += _hash(filters, _FILTERS_HASH)
        for event, of_state in places:
            _add_number(data, event.offset)
            _add_number(data, of_state.offset)
        return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")

    def decode(self, text: str, filters: bytes = b"") -> Place | None:
        """What ``encode`` was given; None for any other text, whatever it is."""
        data = _bytes_of(text)
        if data is None or len(data) < _HEAD or data[0] != VERSION:
            return None
        layout = self._layouts.get(data[1 : 1 + _LAYOUT_HASH])
        if layout is None:
            return None
        numbers = _numbers(data[_HEAD:])
        if numbers is None or len(numbers) != 2 * len(layout):
            return None
        events, state = {}, {}
        for (server, event_epoch, state_epoch), event, of_state in zip(
            layout, numbers[::2], numbers[1::2], strict=True
        ):
            if event_epoch:
                events[server] = Position(event_epoch, event)
            if state_epoch:
                state[server] = Position(state_epoch, of_state)
        same = data[1 + _LAYOUT_HASH : _HEAD] == _hash(filters, _FILTERS_HASH)
        return Place(events, state, same)

    def _remember(self, layout: Layout) -> bytes:
        known = _hash(repr(layout).encode(), _LAYOUT_HASH)
        self._layouts.pop(known, None)
        self._layouts[known] = layout
        if len(self._layouts) > MOST_LAYOUTS:
            del self._layouts[next(iter(self._layouts))]
        return known


def _hash(data: bytes, size: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size).digest()


def _bytes_of(text: str) -> bytes | None:
    if not text or len(text) > LONGEST or not text.isascii() or "=" in text:
        return None
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    # The decoder passes over foreign characters and unused bits: only our own form is known.
    return data if urlsafe_b64encode(data).rstrip(b"=").decode("ascii") == text else None


def _add_number(data: bytearray, number: int) -> None:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)


def _numbers(data: bytes) -> list[int] | None:
    numbers = []
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if shift > 7 * _MOST_DIGITS:
            return None
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    return None if shift else numbers
