"""Entities that are told page by page, a page at a time, whatever their number.

What a page says is found out when it is first read, and is the same for all who read it. So to
begin one costs no more than a list of names, and what waits for a client that reads slowly is
names. A page may be newer than the position of the whole, never older: whoever has read all goes
on from that position, and is told what has changed since a second time, which changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from amiws_gevent.feeds.positions import Vector
from amiws_gevent.state.store import Name

PAGE = 100
"""Entities of a page: some 40 KiB of channels, which take less than half a millisecond."""


MOST_MADE = 32
"""Pages that are kept for others who read them at about the same time, some 1 MiB. One that comes
later gets them made anew."""


class Pieces(NamedTuple):
    """What is told of some entities, each as JSON."""

    made: list[bytes]
    gone: list[bytes]


class Names:
    """Server, kind and key of many entities, in order.

    It is made of whole lists of a store, since a tuple for each of 100,000 would take 10 ms.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[int, str | None, Sequence[str] | Sequence[Name]]] = []
        self._begins: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, server: int, names: Sequence[Name]) -> None:
        """Add names of a server."""
        self._add(server, None, names)

    def add_keys(self, server: int, kind: str, keys: Sequence[str]) -> None:
        """Add names of one kind."""
        self._add(server, kind, keys)

    def add_all(self, others: Names) -> None:
        """Add what others are."""
        for part in others._parts:
            self._add(*part)

    def _add(self, server: int, kind: str | None, found: Sequence[str] | Sequence[Name]) -> None:
        if found:
            self._parts.append((server, kind, found))
            self._begins.append(self._count)
            self._count += len(found)

    def between(self, begin: int, end: int) -> Iterator[tuple[int, str, str]]:
        """Those from the place ``begin`` up to ``end``."""
        while begin < min(end, self._count):
            number = bisect_right(self._begins, begin) - 1
            server, kind, found = self._parts[number]
            first = self._begins[number]
            for one in found[begin - first : end - first]:
                if kind is None:
                    yield (server, *one)
                else:
                    yield server, kind, one  # type: ignore[misc]
            begin = first + len(found)


Tell = Callable[[Iterable[tuple[int, str, str]]], Pieces]
"""Says what is to be told of these entities."""


class Pages:
    """What is told of ``names``; ``vector`` is where who has read all of it stands."""

    def __init__(self, vector: Vector, names: Names, tell: Tell, *, least: int = 0) -> None:
        self.vector = vector
        self.names = names
        self.count = max(-(-len(names) // PAGE), least)
        self._tell = tell
        self._made: dict[int, Pieces] = {}

    def page(self, number: int) -> Pieces:
        """One page, from 0."""
        made = self._made.get(number)
        if made is None:
            names = self.names.between(number * PAGE, (number + 1) * PAGE)
            made = self._made[number] = self._tell(names)
            if len(self._made) > MOST_MADE:
                del self._made[next(iter(self._made))]
        return made


class Snapshot(Pages):
    """All entities of a view; ``made`` is when it was asked for."""

    def __init__(self, vector: Vector, names: Names, tell: Tell, made: float) -> None:
        super().__init__(vector, names, tell, least=1)
        self.made = made
