"""Events that one subscription's client has not taken yet, in order.

Each tells a position, also of the state. So while the client is behind there, only those may be
sent that came before it fell behind; once it has caught up, also those that came until it began
to. What there is no room for is left out, the oldest first, and counted.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from amiws_gevent.batch import Item
from amiws_gevent.feeds.group import Part

ITEM_COST = 64  # bytes that an item which waits costs besides its content


class Drop(NamedTuple):
    """Something is missing."""

    reason: str
    server: int | None = None
    """The one that it is of; None: of all, or nobody knows."""


class Waiting:
    """``size`` is in bytes, with what each item costs."""

    def __init__(self) -> None:
        self.size = 0
        self._items: deque[Item] = deque()
        self._free = 0  # of those, how many may be sent though the client is behind
        self._free_later = 0  # how many may be once it has read the pages that it reads now
        self._removed = 0
        self._drops: deque[tuple[int, Drop]] = deque()
        """Places (how many were removed when it is their turn), and what is missing there."""
        self._lost = 0  # messages
        self._lost_first: Part | None = None

    @property
    def first(self) -> Part | None:
        """The oldest that the client has not had, be it left out; None if it has had all."""
        if self._lost_first is not None:
            return self._lost_first
        part: Part | None = self._items[0].part if self._items else None
        return part

    def add(self, item: Item) -> None:
        """Another one has come."""
        self._items.append(item)
        self.size += cost_of(item)

    def take(self, *, any_one: bool) -> Item | None:
        """The next to be sent; only one that may be sent to who is behind, unless ``any_one``."""
        return self._remove() if self._items and (any_one or self._free) else None

    def leave_out(self) -> Item:
        """Leave out the oldest."""
        item = self._remove()
        if self._lost_first is None:
            self._lost_first = item.part
        self._lost += item.messages
        return item

    def take_lost(self) -> int:
        """How many messages were left out ahead of those that wait; it is told once."""
        lost, self._lost, self._lost_first = self._lost, 0, None
        return lost

    def dropped(self, drop: Drop) -> None:
        """Something that comes after all that waits is missing."""
        here = self._removed + len(self._items), drop
        if not self._drops or self._drops[-1] != here:
            self._drops.append(here)

    @property
    def is_at_drop(self) -> bool:
        """Whether something ahead of the next is missing."""
        return bool(self._drops) and self._drops[0][0] <= self._removed

    def take_drops(self) -> list[Drop]:
        """What; each is told once."""
        drops: dict[Drop, None] = {}
        while self.is_at_drop:
            drops[self._drops.popleft()[1]] = None
        return list(drops)

    def falls_behind(self) -> None:
        """The client misses something of the state that comes after all that waits."""
        self._free = len(self._items)

    def begins_to_catch_up(self) -> None:
        """The client gets the state of now, which is that of all that waits."""
        self._free_later = len(self._items)

    def has_caught_up(self) -> None:
        """The client has the state that there was when it began to catch up."""
        self._free = self._free_later

    def _remove(self) -> Item:
        item = self._items.popleft()
        self._removed += 1
        self.size -= cost_of(item)
        self._free = max(self._free - 1, 0)
        self._free_later = max(self._free_later - 1, 0)
        return item


def cost_of(item: Item) -> int:
    """Bytes that an item takes which waits."""
    return len(item.data) + ITEM_COST
