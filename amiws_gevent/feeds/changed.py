"""What plugins make of a server's state: a store of its own, fed as the server's store changes.

Hooks may wait, and the hub must not: so they are asked in a greenlet, which ends when all that has
changed is done. What changes meanwhile waits as names in the server's own store, each once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent

from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.state.store import Name, Store

Transform = Callable[[ServerInfo, Sequence[Entity]], list[Entity]]
"""What clients may see of entities of a server; may wait. What is missing they may not."""

CHUNK = 200
"""Entities that plugins are asked about together: 5 ms with `mask`."""

_NAME = ("server", "kind", "id")

_log = logging.getLogger("amiws_gevent.feeds")


class Changed:
    """``store`` has what clients may see. Its offsets are its own, one for each chunk, from
    ``offset`` on.

    ``on_fed`` is called when it has changed.
    """

    def __init__(
        self,
        info: ServerInfo,
        raw: Store,
        transform: Transform,
        on_fed: Callable[[], None],
        offset: int = 0,
    ) -> None:
        self.store = Store(offset=offset)
        self._info = info
        self._raw = raw
        self._transform = transform
        self._on_fed = on_fed
        self._all = True  # are to be asked about
        self._closed = False
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._limiter = LogLimiter()

    def wake(self) -> None:
        """Have plugins asked about what has changed; returns at once."""
        if self._greenlet is None and not self._closed and (self._all or self._raw.dirty):
            self._greenlet = gevent.spawn(self._run)

    @property
    def is_idle(self) -> bool:
        """Whether plugins were asked about all that there is."""
        return self._greenlet is None and not self._all and not self._raw.dirty

    def again(self) -> None:
        """Plugins may say something else now: ask them about everything."""
        self._all = True
        self.wake()

    def close(self) -> None:
        """It is not needed any more."""
        self._closed = True
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _run(self) -> None:
        try:
            self.take()
        finally:
            self._greenlet = None

    def take(self) -> None:
        """Ask about all that has changed; may wait."""
        while names := self._next():
            for start in range(0, len(names), CHUNK):
                self._feed(names[start : start + CHUNK])
                if self._closed:
                    return
                self._on_fed()
                yield_to_loop()

    def _next(self) -> list[Name]:
        names = dict.fromkeys(self._raw.drain())
        if self._all:
            self._all = False
            names |= dict.fromkeys((kind, key) for kind, key, _ in self._raw.frozen())
        return list(names)

    def _feed(self, names: Sequence[Name]) -> None:
        there: list[Entity] = []
        ended: list[Entity] = []
        for kind, key in names:
            fields = self._raw.get(kind, key)
            if fields is not None:
                there.append(self._entity(kind, key, fields))
            elif last := self._last_words(kind, key):
                ended.append(self._entity(kind, key, last))
        shown, last_words = self._shown(there), self._shown(ended)
        self.store.begin(self.store.offset + 1)
        for kind, key in names:
            made = shown.get((kind, key))
            if made is None:
                self.store.remove(kind, key, last_words.get((kind, key)))
            else:
                known = self.store.get(kind, key) or {}
                left_out = {name: None for name in known if name not in made}
                self.store.put(kind, key, **left_out, **made)

    def _entity(self, kind: str, key: str, fields: Mapping[str, Any]) -> Entity:
        return {"server": self._info.id, "kind": kind, "id": key, **fields}

    def _last_words(self, kind: str, key: str) -> Mapping[str, Any] | None:
        change = self._raw.change(kind, key, -1)
        return None if change is None else change.last

    def _shown(self, entities: Sequence[Entity]) -> dict[Name, dict[str, Any]]:
        """Fields that may be shown, by name; nothing of what could not be asked about."""
        if not entities:
            return {}
        try:
            made = self._transform(self._info, entities)
        except Exception as error:  # noqa: BLE001 - what cannot be asked about is not shown
            self._limiter.log(
                _log,
                logging.ERROR,
                "transform",
                "%s: internal error; some of its live state is kept from clients",
                self._info.name,
                exc_info=error,
            )
            return {}
        return {
            (entity["kind"], entity["id"]): {
                name: value for name, value in entity.items() if name not in _NAME
            }
            for entity in made
        }
