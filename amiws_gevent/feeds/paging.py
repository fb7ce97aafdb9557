"""Pages of the state for who asks one by one: all of one list, kept for a while."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from amiws_gevent.feeds.stateview import Frozen
from amiws_gevent.feeds.views import ViewKey

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
        items = [
            {"server": server, "kind": kind, "id": key, **fields}
            for server, kind, key, fields in cursor.entities[cursor.begin : end]
        ]
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
