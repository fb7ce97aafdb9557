"""What a server said on its way to clients: where it stands in the stream, and what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Position(NamedTuple):
    """A place in one server's stream; places of different epochs cannot be compared."""

    epoch: str
    """A new one begins whenever what was before is not known any more."""
    offset: int
    """Reads of the server in this epoch, up to and with this one."""


class Item(NamedTuple):
    """What the hub gives to clients: whole frames, the same bytes for all clients of a view."""

    data: bytes
    messages: int
    """How many messages are in ``data``."""
    positions: Mapping[int, Position]
    """By server id, where who has had ``data`` stands then."""
