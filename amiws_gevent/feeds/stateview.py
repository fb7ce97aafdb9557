"""One choice of entities, for all clients that have made it: what is in it, and what changes.

While a client keeps up, it gets what each flush changes. One that does not is remembered by
where it stands, and gets what has changed since; so what waits for it needs no memory. Where
filters test fields that change, the view keeps who is in it since when, and who has left.

What a client is told may be newer than the position that goes with it, never older: the next
flush tells such things a second time, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from amiws_gevent.feeds import encoding
from amiws_gevent.feeds.deltas import Chunk, Delta, Flush
from amiws_gevent.feeds.encoding import FUTURE, HISTORY, RESTART
from amiws_gevent.feeds.filters import ATTRIBUTES, Filters
from amiws_gevent.feeds.pages import Names, Pages, Pieces, Snapshot
from amiws_gevent.feeds.positions import Vector
from amiws_gevent.feeds.shown import Flushed
from amiws_gevent.policy import Sight
from amiws_gevent.state.store import Name, forget_oldest

SHARED_TIME = 2.0
"""Seconds in which who asks gets the snapshot that another has asked for, and then what has
changed since: so a hundred clients that come at once cost one."""

STEP = 500
"""Entities that a new view looks at in one step, in less than a millisecond."""

MOST_DEPARTURES = 10_000  # of one server, which are kept to tell who comes back
MOST_CATCH_UPS = 32  # between two flushes, that are kept for others at the same position


class Told(NamedTuple):
    """What the clients of a view are told by a step of a flush."""

    pieces: Pieces
    after: Vector | None
    """Of the last step: where those stand who have had it. Those who have had others stand where
    they stood before, and have some of what comes then already."""


_NOTHING = Told(Pieces([], []), None)


class Frozen(NamedTuple):
    """An entity of a list."""

    server: int
    kind: str
    key: str
    fields: Mapping[str, Any]


class _Members:
    """Who of one server is in a view since which offset, and who has left it at which."""

    def __init__(self, offset: int) -> None:
        self.names: dict[Name, int] = {}
        self.left: dict[Name, int] = {}  # the oldest first
        self.known_since = offset
        self.doubtful: set[Name] = set()
        """Who did not match when a client asked, since the last flush, and so was not told."""
        self.doubted: int | None = None
        """The number of the flush of which this is so for all: who may have been in the view."""

    def enter(self, name: Name, offset: int) -> None:
        self.names[name] = offset
        self.left.pop(name, None)

    def leave(self, name: Name, offset: int) -> None:
        self.names.pop(name, None)
        self.left.pop(name, None)
        self.left[name] = offset
        forgotten = forget_oldest(self.left, MOST_DEPARTURES)
        if forgotten is not None:
            self.known_since = forgotten


class StateView:
    """The entities that some filters choose, of all servers that are ``shown``.

    Filters test what is shown, be it masked for those who see less.

    ``vector`` is where its clients stand, who have had all flushes; some have had some of the one
    that is being told, while it is ``busy``: then nobody else can be told so much that he stands
    there too. Nothing is told to a client before ``prepare`` has returned True.
    """

    def __init__(
        self, filters: Filters, shown: Mapping[int, Flushed], sight: Sight | None = None
    ) -> None:
        self.filters = filters
        self.sight = sight
        """Of which ``shown`` is what is seen; None: all is."""
        self.vector: Vector = {}
        self.busy = False
        self.begun = 0
        """How often it has begun: what was found in steps is of no use if it has meanwhile."""
        self._all_shown = shown
        self._kinds = [kind for kind in ATTRIBUTES if kind in filters.kinds]
        self._shown: dict[int, Flushed] = {}
        self._search: Iterator[int] | None = None
        self._members: dict[int, _Members] = {}
        self._snapshot: Snapshot | None = None
        self._catch_ups: dict[Any, Pages | None] = {}
        self.begin()

    def begin(self) -> None:
        """Look at all servers anew: earlier positions are of no use for those that changed."""
        self.begun += 1
        self._shown = {
            server: shown
            for server, shown in self._all_shown.items()
            if self.filters.has_server(server)
        }
        self.vector = {server: shown.position for server, shown in self._shown.items()}
        self._catch_ups.clear()
        self._snapshot = None
        self._members = {}
        self._search = None
        if self.filters.changeable:
            self._members = {server: _Members(one.offset) for server, one in self._shown.items()}
            self._search = self._find_members()

    def prepare(self) -> bool:
        """Do the next step of what is to be done before clients are told; whether it is done."""
        for shown in self._shown.values():
            if not shown.prepare():
                return False
        if self._search is not None and next(self._search, None) is None:
            self._search = None
        return self._search is None

    def _find_members(self) -> Iterator[int]:
        """Look who matches, in steps; of what changes meanwhile the flushes tell."""
        for names in self._steps(self._all_names()):
            for server, kind, key in names:
                members, fields = (
                    self._members[server],
                    self._shown[server].current().get(kind, key),
                )
                if fields is not None and self.filters.entity(server, kind, fields):
                    members.names.setdefault((kind, key), members.known_since)
            yield STEP
        for server, members in self._members.items():
            members.known_since = self._shown[server].offset
            members.doubted = self._shown[server].pending

    @staticmethod
    def _steps(names: Names) -> Iterator[Iterator[tuple[int, str, str]]]:
        for begin in range(0, len(names), STEP):
            yield names.between(begin, begin + STEP)

    def _all_names(self) -> Names:
        """All entities of the kinds that may match."""
        names = Names()
        for server in self._shown:
            self._add_all(names, server)
        return names

    def _add_all(self, names: Names, server: int) -> None:
        store = self._shown[server].store
        for kind in self._kinds:
            names.add_keys(server, kind, store.keys(kind))

    def _names(self) -> Names:
        """All entities that are in the view, and maybe some that are not."""
        if not self.filters.changeable:
            return self._all_names()
        names = Names()
        for server, members in self._members.items():
            names.add(server, list(members.names))
        return names

    def has(self, servers: Iterable[int]) -> bool:
        """Whether it shows, or would show, any of these servers."""
        return any(server in self._shown or self._would_show(server) for server in servers)

    def _would_show(self, server: int) -> bool:
        sight = self.sight
        return self.filters.has_server(server) and (sight is None or sight.sees_server(server))

    # What each flush changes

    def flush(self, flushes: Sequence[Flush]) -> Iterator[Told]:
        """What flushes change in this view, in steps; at the end the view has moved on.

        Others may run between two steps. What is told with the last one says where its clients
        stand then; there may be nothing to tell at all. If the view begins anew meanwhile, it
        ends.
        """
        begun = self.begun
        own = [flush for flush in flushes if self._shown.get(flush.server) is flush.shown]
        if not own:
            return
        self.busy = True
        try:
            held = _NOTHING
            for flush in own:
                for chunk in flush.chunks():
                    pieces = self._pieces(flush, chunk)
                    if pieces.made or pieces.gone:
                        held, told = Told(pieces, None), held
                    else:
                        told = _NOTHING
                    yield told
                    if self.begun != begun:
                        return
            after = {**self.vector, **{flush.server: flush.position for flush in own}}
            if held is not _NOTHING:
                yield held._replace(after=after)
                if self.begun != begun:
                    return
            self.vector = after
            self._catch_ups.clear()
        finally:
            self.busy = False

    def _pieces(self, flush: Flush, chunk: Chunk) -> Pieces:
        pieces = Pieces([], [])
        kinds = self.filters.kinds
        if self.filters.changeable:
            members = self._members[flush.server]
            doubted = members.doubted == flush.number
            for delta in self._candidates(chunk, members, doubted):
                if delta.kind in kinds:
                    self._test(flush, members, delta, pieces, doubted)
            return pieces
        for delta in chunk.of_kinds(kinds):
            if delta.fields is None:
                pieces.gone.append(delta.gone(ended=True))
            else:
                pieces.made.append(delta.part)
        return pieces

    def _candidates(self, chunk: Chunk, members: _Members, doubted: bool) -> Iterable[Delta]:
        """Those that may enter the view, leave it, or be in it."""
        if doubted:
            return chunk.deltas
        dimension, values = self.filters.by_field[0]
        return chunk.having(dimension, values, members.names)

    def _test(
        self, flush: Flush, members: _Members, delta: Delta, pieces: Pieces, doubted: bool
    ) -> None:
        """Whether an entity enters the view, leaves it, or stays."""
        name = (delta.kind, delta.key)
        was = doubted or name in members.names
        doubtful = doubted or name in members.doubtful
        fields = delta.fields
        if fields is not None and self.filters.entity(flush.server, delta.kind, fields):
            if was and not delta.new and not doubtful:
                pieces.made.append(delta.part)
            else:
                members.enter(name, flush.position.offset)
                pieces.made.append(delta.whole)
        elif was:
            members.leave(name, flush.position.offset)
            pieces.gone.append(delta.gone(ended=fields is None))
        members.doubtful.discard(name)

    # Who has nothing

    def snapshot(self, now: float) -> Snapshot:
        """All that there is; shared by those who ask at about the same time."""
        known = self._snapshot
        if (
            known is None
            or now - known.made > SHARED_TIME
            or self.why_not(known.vector) is not None
        ):
            known = self._snapshot = Snapshot(self.vector, self._names(), self._tell_whole, now)
        return known

    def entities(self) -> Iterator[list[Frozen]]:
        """All that there is, as it is at each step."""
        for names in self._steps(self._names()):
            yield list(self._whole(names))

    def _whole(self, names: Iterable[tuple[int, str, str]]) -> Iterator[Frozen]:
        """What of these is in the view, with all fields."""
        for server, kind, key in names:
            shown = self._shown.get(server)
            fields = None if shown is None else shown.current().get(kind, key)
            if fields is not None and self._has(entry := Frozen(server, kind, key, fields)):
                yield entry

    def _tell_whole(self, names: Iterable[tuple[int, str, str]]) -> Pieces:
        return Pieces([encoding.entity(*entry) for entry in self._whole(names)], [])

    def _has(self, entry: Frozen) -> bool:
        """Whether an entity is in the view, for its clients and by what it is now.

        One that is in it for the clients alone may match again with the next flush. Then it is
        told whole, since who asked now has not got it.
        """
        if not self.filters.changeable:
            return True
        members = self._members[entry.server]
        name = (entry.kind, entry.key)
        if name not in members.names:
            return False
        if self.filters.entity(entry.server, entry.kind, entry.fields):
            return True
        members.doubtful.add(name)
        return False

    # Who has missed something

    def why_not(self, since: Vector) -> str | None:
        """Why it cannot be told what has changed since; None if it can."""
        for server in self._shown.keys() | since.keys():
            position, shown = since.get(server), self._shown.get(server)
            if position is None or shown is None or position.epoch != shown.epoch:
                return RESTART
            if position.offset > shown.store.offset:
                return FUTURE
            if not shown.can_tell(position.offset) or not self._knew(server, position.offset):
                return HISTORY
        return None

    def _knew(self, server: int, offset: int) -> bool:
        """Whether it is known who has entered and left since."""
        if not self.filters.changeable:
            return True
        return self._search is None and offset >= self._members[server].known_since

    def catch_up(self, since: Vector) -> Pages | None:
        """What has changed since, in pages; None if that cannot be told any more."""
        key = tuple(since.items())
        if key in self._catch_ups:
            return self._catch_ups[key]
        made = None
        if self.why_not(since) is None:
            names = Names()
            for server, position in since.items():
                if position != self.vector[server]:
                    self._add_missed(names, server, position.offset)
            made = Pages(self.vector, names, partial(self._tell_missed, since))
        if len(self._catch_ups) < MOST_CATCH_UPS:
            self._catch_ups[key] = made
        return made

    def _add_missed(self, names: Names, server: int, since: int) -> None:
        """Add the names of all that may be other than at an offset."""
        shown = self._shown[server]
        touched = shown.names_since(since)  # None: too many, so we look at all, page by page
        if self.filters.changeable:
            members = self._members[server]
            if touched is None:
                names.add(server, list(members.names))
                touched = members.left
            left = members.left
            names.add(
                server,
                [one for one in touched if one in members.names or left.get(one, 0) > since],
            )
            return
        if touched is None:
            self._add_all(names, server)
            touched = shown.store.gone_since(since)
        kinds = self.filters.kinds
        names.add(server, [name for name in touched if name[0] in kinds])

    def reconcile(self, had: Snapshot) -> Pages | None:
        """What is other than in a snapshot that is too old for ``catch_up``.

        Its own names tell what has gone since. None if a server has begun anew.
        """
        if any(
            server not in had.vector or had.vector[server].epoch != shown.epoch
            for server, shown in self._shown.items()
        ):
            return None
        names = Names()
        names.add_all(had.names)
        names.add_all(self._names())
        return Pages(self.vector, names, partial(self._tell_missed, had.vector))

    def _tell_missed(self, since: Vector, names: Iterable[tuple[int, str, str]]) -> Pieces:
        pieces = Pieces([], [])
        for server, kind, key in names:
            offset = since[server].offset
            store = self._shown[server].current()
            fields = store.get(kind, key)
            if fields is None or not self._has(Frozen(server, kind, key, fields)):
                change = store.change(kind, key, -1) if fields is None else None
                last = None if change is None else change.last
                pieces.gone.append(encoding.gone(server, kind, key, last))
            elif self._has_entered(server, (kind, key), offset):
                pieces.made.append(encoding.entity(server, kind, key, fields))
            else:
                change = store.change(kind, key, offset)
                if change is not None and change.fields is not None:
                    pieces.made.append(encoding.entity(server, kind, key, change.fields))
        return pieces

    def _has_entered(self, server: int, name: Name, since: int) -> bool:
        members = self._members.get(server)
        return members is not None and members.names[name] > since
