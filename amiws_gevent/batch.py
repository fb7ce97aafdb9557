"""The messages of a server as clients get them, and their position in the server's stream.

All of it is plain data without links or clients, so that it could go to another process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, overload

import orjson

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins.api import ServerInfo


class Position(NamedTuple):
    """A place in one server's stream; places of different epochs cannot be compared."""

    epoch: str
    """A new epoch begins whenever the earlier stream is no longer known."""
    offset: int
    """Reads of the server in this epoch, up to and with this one; what the program itself says
    in the name of the server counts as a read."""


class Mark(NamedTuple):
    """A place between two batches of all that is published: what a client has had ends there."""

    number: int
    """Of the batch that comes next. It grows by one with each batch that clients may get."""
    positions: Mapping[int, Position]
    """By server, of the last batch ahead of it; never changed in place."""


@dataclass(slots=True)
class Batch:
    """The messages of one read of a server for clients, in order; do not change it.

    Parallel lists, since an object for each message would cost as much as its frame. Filters
    use ``messages``, so that nobody parses the JSON again.
    """

    server: ServerInfo
    position: Position
    messages: Sequence[Message]
    json: Sequence[bytes]
    """The five-key JSON text of each of ``messages``, valid UTF-8, without a line end."""
    size: int = field(init=False)
    """Bytes of JSON."""
    of_plugins: bool = False
    """Whether plugins say it, in the name of server 0: the classic socket knows no such thing."""
    seen: dict[Any, Batch] | None = field(default=None, init=False, repr=False, compare=False)
    """What was made of it for those who see less, by what they see; kept as long as it is."""

    def __post_init__(self) -> None:
        self.size = sum(map(len, self.json))

    def __len__(self) -> int:
        return len(self.json)


class Item(NamedTuple):
    """What the hub gives to clients: whole frames, the same bytes for all clients of a view."""

    data: bytes
    messages: int
    """How many messages are in ``data``."""
    positions: Mapping[int, Position]
    """By server id, where who has had ``data`` stands then."""
    part: Any = None
    """For who keeps it while a client reads slowly: which part of what the client gets it is."""


class ReadAgain(Sequence[Message]):
    """Messages of the JSON that was made of them, read when they are needed: for few they are."""

    __slots__ = ("_json", "_messages")

    def __init__(self, json: Sequence[bytes]) -> None:
        self._json = json
        self._messages: list[Message] | None = None

    def __len__(self) -> int:
        return len(self._json)

    @overload
    def __getitem__(self, place: int) -> Message: ...

    @overload
    def __getitem__(self, place: slice) -> list[Message]: ...

    def __getitem__(self, place: int | slice) -> Message | list[Message]:
        if self._messages is None:
            self._messages = list(map(_message, self._json))
        return self._messages[place]


def _message(text: bytes) -> Message:
    """A message of its JSON: a repeated header is a list there."""
    envelope = orjson.loads(text)
    pairs = [
        (name, one)
        for name, value in envelope["data"].items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return Message(Kind(envelope["type"]), pairs)
