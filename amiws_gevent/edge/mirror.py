"""The state of one server as the collector shows it: of `feeds.shown.Served`.

It has the collector's positions. So an edge can tell what has changed since a position that
another edge has given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from amiws_gevent.crossing.codec import Changes, Item, Whole
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.state.servers import SERVER
from amiws_gevent.state.store import Change, Name, Store

STALE = "stale"

_CONCEALED = ("sync", "sync_reason", "connection", "connection_reason")
"""Fields of a server that are shown otherwise while something is amiss."""


class Epoch(NamedTuple):
    """A server's stream (`feeds.shown.Stream`)."""

    epoch: str
    offset: int


class MirrorStore(Store):
    """A store that says nothing of what has changed while that is told in pieces.

    What is read of it meanwhile may be newer than its position, as at the collector.
    """

    def __init__(self, offset: int, forgotten: int) -> None:
        super().__init__(offset=offset, forgotten=forgotten)
        self.amid = False
        """Whether some pieces are still to come."""

    @property
    def dirty(self) -> bool:
        return not self.amid and super().dirty

    def drain(self) -> list[Name]:
        return [] if self.amid else super().drain()


class Mirror:
    """``store`` and ``source`` are other objects when the collector begins anew.

    They are of no use before ``is_whole``.
    """

    def __init__(self, info: ServerInfo) -> None:
        self.info = info
        self.source = Epoch("", 0)
        self.store = MirrorStore(0, 0)
        self.is_whole = False
        self._coming: tuple[Epoch, MirrorStore] | None = None
        self._unseen: dict[Name, None] | None = None  # of what is there, while all is told again

    def take_whole(self, whole: Whole) -> None:
        """Take some of all that there is. If it is the stream that is known, it goes on."""
        position = whole.position
        if whole.first:
            if self.is_whole and position.epoch == self.source.epoch:
                self._coming = None
                self._unseen = {(kind, key): None for kind, key, _ in self.store.frozen()}
                self._begin(position.offset)
            else:
                self._unseen = None
                self._coming = Epoch(*position), self._new_store(whole)
        if self._coming is not None:
            self._take_new(*self._coming, whole)
        elif self._unseen is not None:
            self._take_again(self._unseen, whole)

    def _take_new(self, source: Epoch, store: MirrorStore, whole: Whole) -> None:
        for item in whole.items:
            self._restore(store, item)
        if whole.last:
            for name, tombstone in whole.buried:
                store.bury(name, tombstone)
            store.drain()
            self.source, self.store, self.is_whole = source, store, True
            self._coming = None

    def _new_store(self, whole: Whole) -> MirrorStore:
        return MirrorStore(whole.position.offset, whole.floor)

    def _restore(self, store: MirrorStore, item: Item) -> None:
        if store.get(item.kind, item.key) is None:
            store.restore(item.kind, item.key, item.fields, item.known)

    def _take_again(self, unseen: dict[Name, None], whole: Whole) -> None:
        for item in whole.items:
            unseen.pop((item.kind, item.key), None)
            self.store.put(item.kind, item.key, **item.fields)
        if whole.last:
            last = {name: tombstone.last for name, tombstone in whole.buried}
            for name in unseen:
                self.store.remove(*name, last.get(name))
            self._unseen = None
            self.store.amid = False

    def take_changes(self, changes: Changes) -> None:
        """Take some of what a flush has changed; they are shown when all are there."""
        if not self.is_whole or changes.position.epoch != self.source.epoch:
            return  # of a beginning that was lost: another one is to come
        self._begin(changes.position.offset)
        for change in changes.changes:
            self._take(change)
        if changes.last and self._unseen is None:
            self.store.amid = False

    def _take(self, change: Change) -> None:
        kind, key, fields, whole, last = change
        if fields is None:
            self.store.remove(kind, key, last)
            return
        if whole:
            self.store.remove(kind, key)
        self.store.put(kind, key, **fields)

    def _begin(self, offset: int) -> None:
        store = self.store
        store.amid = True
        store.begin(max(offset, store.offset))


class ProgramMirror(Mirror):
    """Server 0. Its servers are stale, with a reason, while the edge does not hear of them.

    ``amiss`` says of a server (by id) which fields are therefore otherwise than a collector has
    told. Only this edge knows that. So the offsets of this store are the edge's own, and who comes
    back is told all of it (`Feeds`, ``told_again``).
    """

    def __init__(self, info: ServerInfo, amiss: Callable[[int], Mapping[str, Any]]) -> None:
        super().__init__(info)
        self.is_whole = True
        self._amiss = amiss
        self._shown: dict[str, Mapping[str, Any]] = {}  # by server: what is amiss, as it is shown
        self._told: dict[str, dict[str, Any]] = {}  # by server: what a collector says of these

    def _new_store(self, whole: Whole) -> MirrorStore:
        return MirrorStore(1, 0)

    def _restore(self, store: MirrorStore, item: Item) -> None:
        store.put(item.kind, item.key, **self._as_known(item.kind, item.key, item.fields))

    def look(self, servers: Iterable[int] | None = None) -> bool:
        """Show what is amiss by now, of these or of all; whether that is other than before."""
        keys = self.store.keys(SERVER) if servers is None else map(str, servers)
        changed = {
            key: amiss
            for key in keys
            if key in self._told and (amiss := self._amiss(int(key))) != self._shown.get(key, {})
        }
        if not changed:
            return False
        self.store.begin(self.store.offset + 1)
        for key, amiss in changed.items():
            self._shown[key] = amiss
            self.store.put(SERVER, key, **{**self._told.get(key, {}), **amiss})
        return True

    def _as_known(self, kind: str, key: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fields of an entity, or some of them, as they are shown."""
        if kind != SERVER:
            return fields
        told = self._told.setdefault(key, dict.fromkeys(_CONCEALED))
        told.update((name, fields[name]) for name in told.keys() & fields.keys())
        if key not in self._shown:
            self._shown[key] = self._amiss(int(key))
        return {**fields, **self._shown[key]}

    def _take(self, change: Change) -> None:
        if change.fields is None and change.kind == SERVER:
            self._told.pop(change.key, None)
            self._shown.pop(change.key, None)
        elif change.fields is not None:
            fields = self._as_known(change.kind, change.key, change.fields)
            change = change._replace(fields=fields)
        super()._take(change)

    def _take_again(self, unseen: dict[Name, None], whole: Whole) -> None:
        items = [
            item._replace(fields=self._as_known(item.kind, item.key, item.fields))
            for item in whole.items
        ]
        super()._take_again(unseen, whole._replace(items=items))

    def _begin(self, offset: int) -> None:
        super()._begin(self.store.offset + 1)
