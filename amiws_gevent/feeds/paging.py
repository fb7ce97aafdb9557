"""Pages of the state for who asks one by one: all of one list, kept for a while."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from amiws_gevent.bus.sharing import Sharing, Unshared
from amiws_gevent.feeds.encoding import to_json
from amiws_gevent.feeds.group import view_key
from amiws_gevent.feeds.stateview import Frozen
from amiws_gevent.feeds.views import ViewKey
from amiws_gevent.runtime.loop import yield_to_loop

CURSOR_TIME = 60.0  # seconds in which the next page must be asked for
MOST_CURSORS = 64
MOST_ENTITIES = 200_000
"""Of all lists that are kept, but for the newest: some 20 MiB, and what has changed since."""


class StatePage(NamedTuple):
    """Some entities; ``next`` asks for more, None if these were the last."""

    position: str
    """Where all pages together stand: a subscription to state with these filters goes on here."""
    items: list[dict[str, Any]]
    next: str | None


PIECE = 500
"""Entities of a list that edges share, which are kept together."""

_SHARED_NEXT = re.compile(r"([0-9a-f]{32})\.([0-9]{1,9})")


class _Cursor(NamedTuple):
    view: ViewKey
    entities: Sequence[Frozen]
    position: str
    begin: int
    time: float


class Cursors:
    """Who has asked for some of a list, and where he goes on; a bounded number, for a while."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cursors: dict[str, _Cursor] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._cursors)

    def begin(
        self, view: ViewKey, entities: Sequence[Frozen], position: str, limit: int
    ) -> StatePage:
        """The first page."""
        return self._page(_Cursor(view, entities, position, 0, self._clock()), limit)

    def more(self, known: str, view: ViewKey, limit: int) -> StatePage | None:
        """The page that ``next`` asks for.

        None if it is not known, or no longer, or that of a list with other filters or of another
        sight: who may see less now gets no more of what he began with. It may be asked for again,
        should the answer be lost.
        """
        self._forget()
        cursor = self._cursors.get(known)
        if cursor is None or cursor.view != view:
            return None
        return self._page(cursor, limit)

    def _page(self, cursor: _Cursor, limit: int) -> StatePage:
        end = cursor.begin + limit
        items = [_item(entity) for entity in cursor.entities[cursor.begin : end]]
        further = None
        if end < len(cursor.entities):
            further = secrets.token_urlsafe(12)
            self._cursors[further] = cursor._replace(begin=end, time=self._clock())
            self._forget()
        return StatePage(cursor.position, items, further)

    def _forget(self) -> None:
        """Drop what is old, and the oldest of what is too much; the newest list stays."""
        oldest = self._clock() - CURSOR_TIME
        while self._cursors:
            known, cursor = next(iter(self._cursors.items()))
            lists = {id(one.entities): len(one.entities) for one in self._cursors.values()}
            too_many = len(self._cursors) > MOST_CURSORS
            too_long = sum(lists.values()) > MOST_ENTITIES and len(lists) > 1
            if cursor.time >= oldest and not too_many and not too_long:
                break
            del self._cursors[known]


class SharedCursors(Cursors):
    """The next page may be asked of another edge: Redis has what is left of a list.

    Where Redis cannot keep it, this edge alone has it. ``next`` of a list that is shared names it,
    and the entity at which the page begins, counted from the second page on.
    """

    def __init__(self, clock: Callable[[], float], sharing: Sharing) -> None:
        super().__init__(clock)
        self._sharing = sharing

    def begin(
        self, view: ViewKey, entities: Sequence[Frozen], position: str, limit: int
    ) -> StatePage:
        """The first page; waits for Redis if there are more."""
        entry = secrets.token_hex(16)
        if len(entities) <= limit or not self._keep(entry, view, entities[limit:], position):
            return super().begin(view, entities, position, limit)
        return StatePage(position, [_item(one) for one in entities[:limit]], f"{entry}.0")

    def _keep(self, entry: str, view: ViewKey, rest: Sequence[Frozen], position: str) -> bool:
        """Piece 0 says what it is a list of; the entities follow."""
        about = {"view": _tag(view), "position": position, "count": len(rest)}
        try:
            if not self._sharing.keep_piece(entry, 0, orjson.dumps(about), CURSOR_TIME):
                return False
            for number, begin in enumerate(range(0, len(rest), PIECE), 1):
                # Each waits for Redis, so that others have their turn meanwhile.
                data = zlib.compress(to_json(list(map(_item, rest[begin : begin + PIECE]))), 1)
                if not self._sharing.keep_piece(entry, number, data, CURSOR_TIME):
                    return False
        except Unshared:
            return False
        return True

    def more(self, known: str, view: ViewKey, limit: int) -> StatePage | None:
        """See `Cursors.more`; waits for Redis if the list is there."""
        shared = _SHARED_NEXT.fullmatch(known)
        if shared is None:
            return super().more(known, view, limit)
        entry, begin = shared[1], int(shared[2])
        first = begin // PIECE
        numbers = range(first + 1, (begin + limit - 1) // PIECE + 2)
        try:
            head, *pieces = self._sharing.pieces(entry, [0, *numbers], CURSOR_TIME)
        except Unshared:
            return None
        about = None if head is None else orjson.loads(head)
        if about is None or about["view"] != _tag(view) or begin >= about["count"]:
            return None
        end = min(begin + limit, about["count"])
        items: list[dict[str, Any]] = []
        for piece in pieces:
            if piece is not None:
                items += orjson.loads(zlib.decompress(piece))
                yield_to_loop()
        items = items[begin - first * PIECE : end - first * PIECE]
        if len(items) < end - begin:  # some of it is gone
            return None
        return StatePage(
            about["position"], items, f"{entry}.{end}" if end < about["count"] else None
        )


def _item(entity: Frozen) -> dict[str, Any]:
    server, kind, key, fields = entity
    return {"server": server, "kind": kind, "id": key, **fields}


def _tag(view: ViewKey) -> str:
    """The same for equal views, at all edges."""
    return hashlib.blake2b(view_key(*view), digest_size=16).hexdigest()
