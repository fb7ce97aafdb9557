"""One choice of entities, for all clients that have made it: what is in it, and what changes.

While a client keeps up, it gets what each flush changes. One that does not is remembered by
where it stands, and gets what has changed since; so what waits for it needs no memory. Where
filters test fields that change, the view keeps who is in it since when, and who has left.

What a client is told may be newer than the position that goes with it, never older: the next
flush tells such things a second time, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from amiws_gevent.feeds import encoding
from amiws_gevent.feeds.encoding import FUTURE, HISTORY, RESTART
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.positions import Vector
from amiws_gevent.feeds.shown import Delta, Flush, Shown
from amiws_gevent.state.store import Name

PAGE = 100
"""Entities of a page: some 40 KiB of channels, which take less than half a millisecond."""

SHARED_TIME = 2.0
"""Seconds in which who asks gets the snapshot that another has asked for, and then what has
changed since: so a hundred clients that come at once cost one."""

MOST_DEPARTURES = 10_000  # of one server, which are kept to tell who comes back
MOST_CATCH_UPS = 32  # between two flushes, that are kept for others at the same position


class Pieces(NamedTuple):
    """What is told of some entities, each as JSON."""

    made: list[bytes]
    gone: list[bytes]


class Frozen(NamedTuple):
    """An entity of a snapshot."""

    server: int
    kind: str
    key: str
    fields: Mapping[str, Any]


class Missed(NamedTuple):
    """An entity of which a client has missed something since an offset; None: it had none."""

    server: int
    kind: str
    key: str
    since: int | None


class Pages:
    """Entities that are told page by page; each is made once for all who read them.

    ``vector`` is where who has read all of them stands.
    """

    def __init__(
        self,
        vector: Vector,
        entries: Sequence[Any],
        tell: Callable[[Any, Pieces], None],
        *,
        least: int = 0,
    ) -> None:
        self.vector = vector
        self.count = max(-(-len(entries) // PAGE), least)
        self._entries = entries
        self._tell = tell
        self._made: list[Pieces | None] = [None] * self.count

    def page(self, number: int) -> Pieces:
        """One page, from 0."""
        made = self._made[number]
        if made is None:
            made = self._made[number] = Pieces([], [])
            for entry in self._entries[number * PAGE : (number + 1) * PAGE]:
                self._tell(entry, made)
        return made


class Snapshot(Pages):
    """All entities of a view at one time; ``made`` is that time."""

    def __init__(self, vector: Vector, entries: Sequence[Frozen], made: float) -> None:
        super().__init__(vector, entries, _tell_frozen, least=1)
        self.entries = entries
        self.made = made


def _tell_frozen(entry: Frozen, pieces: Pieces) -> None:
    pieces.made.append(encoding.entity(*entry))


class _Members:
    """Who of one server is in a view since which offset, and who has left it at which."""

    def __init__(self, names: Iterable[Name], offset: int) -> None:
        self.names = dict.fromkeys(names, offset)
        self.left: dict[Name, int] = {}  # the oldest first
        self.known_since = offset
        self.doubtful: set[Name] = set()
        """Who did not match when a client asked, since the last flush, and so was not told."""

    def enter(self, name: Name, offset: int) -> None:
        self.names[name] = offset
        self.left.pop(name, None)

    def leave(self, name: Name, offset: int) -> None:
        del self.names[name]
        self.left[name] = offset
        if len(self.left) > MOST_DEPARTURES:
            self.known_since = self.left.pop(next(iter(self.left)))


class StateView:
    """The entities that some filters choose, of all servers that are ``shown``.

    ``vector`` is where its clients stand, who have had all flushes. ``busy`` while one is being
    given to them: till its end it is not certain who has had it.
    """

    def __init__(self, filters: Filters, shown: Mapping[int, Shown]) -> None:
        self.filters = filters
        self.vector: Vector = {}
        self.busy = False
        self._all_shown = shown
        self._shown: dict[int, Shown] = {}
        self._members: dict[int, _Members] = {}
        self._snapshot: Snapshot | None = None
        self._catch_ups: dict[Any, Pages | None] = {}
        self.begin()

    def begin(self) -> None:
        """Look at all servers anew: earlier positions are of no use for those that changed."""
        self._shown = {
            server: shown
            for server, shown in self._all_shown.items()
            if self.filters.has_server(server)
        }
        self.vector = {server: shown.position for server, shown in self._shown.items()}
        self._catch_ups.clear()
        self._snapshot = None
        if self.filters.changeable:
            self._members = {
                server: _Members(self._matching(shown), shown.offset)
                for server, shown in self._shown.items()
            }

    def _matching(self, shown: Shown) -> list[Name]:
        matches, server = self.filters.entity, shown.server
        return [
            (kind, key)
            for kind, key, fields in shown.store.frozen(self.filters.kinds)
            if matches(server, kind, fields)
        ]

    def has(self, servers: Iterable[int]) -> bool:
        """Whether it shows, or would show, any of these servers."""
        return any(server in self._shown or self.filters.has_server(server) for server in servers)

    # What each flush changes

    def flush(self, flushes: Sequence[Flush]) -> Iterator[Pieces | None]:
        """What flushes change in this view, in pieces; with the last the view has moved on.

        There may be none at all. None comes after each chunk, since looking through many of
        them takes its time, whatever is found.
        """
        shown = self._shown
        own = [flush for flush in flushes if flush.server in shown]
        held: Pieces | None = None
        for flush in own:
            for chunk in flush.chunks():
                pieces = self._pieces(flush, chunk)
                if pieces.made or pieces.gone:
                    if held is not None:
                        yield held
                    held = pieces
                yield None
                if self._shown is not shown:  # it has begun anew meanwhile, for all its clients
                    return
        if own:
            moved = {flush.server: shown[flush.server].position for flush in own}
            self.vector = {**self.vector, **moved}
            self._catch_ups.clear()
        if held is not None:
            yield held

    def _pieces(self, flush: Flush, chunk: Iterable[Delta]) -> Pieces:
        pieces = Pieces([], [])
        kinds = self.filters.kinds
        if self.filters.changeable:
            members = self._members[flush.server]
            for delta in chunk:
                if delta.kind in kinds:
                    self._test(flush, members, delta, pieces)
            return pieces
        for delta in chunk:
            if delta.kind in kinds:
                if delta.fields is None:
                    pieces.gone.append(delta.gone(ended=True))
                else:
                    pieces.made.append(delta.part)
        return pieces

    def _test(self, flush: Flush, members: _Members, delta: Delta, pieces: Pieces) -> None:
        """Whether an entity enters the view, leaves it, or stays."""
        name = (delta.kind, delta.key)
        was = name in members.names
        fields = delta.fields
        if fields is not None and self.filters.entity(flush.server, delta.kind, fields):
            if was and not delta.new and name not in members.doubtful:
                pieces.made.append(delta.part)
            else:
                members.enter(name, flush.offset)
                pieces.made.append(delta.whole)
        elif was:
            members.leave(name, flush.offset)
            pieces.gone.append(delta.gone(ended=fields is None))
        members.doubtful.discard(name)

    # Who has nothing

    def snapshot(self, now: float) -> Snapshot:
        """All that there is, at one time; shared by those who ask at about the same."""
        known = self._snapshot
        if (
            known is None
            or now - known.made > SHARED_TIME
            or self.why_not(known.vector) is not None
        ):
            known = self._snapshot = Snapshot(self.vector, self.entities(), now)
        return known

    def entities(self) -> list[Frozen]:
        """All that there is now; of what came since the last flush the next will tell."""
        return [entry for server in self._shown for entry in self._of(server)]

    def _of(self, server: int) -> list[Frozen]:
        entities = self._shown[server].store.frozen(self.filters.kinds)
        found = [Frozen(server, *entity) for entity in entities]
        return found if not self.filters.changeable else list(filter(self._is_in, found))

    def _is_in(self, entry: Frozen) -> bool:
        """Whether an entity is in a changeable view, for its clients and by what it is now.

        One that is in it for the clients alone may match again with the next flush. Then it is
        told whole, since who asked now has not got it.
        """
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
            if position.offset > shown.offset:
                return FUTURE
            if not shown.can_tell(position.offset) or (
                self.filters.changeable and position.offset < self._members[server].known_since
            ):
                return HISTORY
        return None

    def catch_up(self, since: Vector) -> Pages | None:
        """What has changed since, in pages; None if that cannot be told any more."""
        key = tuple(since.items())
        if key in self._catch_ups:
            return self._catch_ups[key]
        made = None
        if self.why_not(since) is None:
            entries = [
                missed
                for server, position in since.items()
                if position != self.vector[server]
                for missed in self._missed(server, position.offset)
            ]
            made = Pages(self.vector, entries, self._tell_missed)
        if len(self._catch_ups) < MOST_CATCH_UPS:
            self._catch_ups[key] = made
        return made

    def reconcile(self, had: Snapshot) -> Pages | None:
        """What is other than in a snapshot that is too old for ``catch_up``.

        Its own names tell what has gone since. None if a server has begun anew.
        """
        if any(
            server not in had.vector or had.vector[server].epoch != shown.epoch
            for server, shown in self._shown.items()
        ):
            return None
        since = {entry[:3]: had.vector[entry.server].offset for entry in had.entries}
        names = {**since, **{entry[:3]: since.get(entry[:3]) for entry in self.entities()}}
        entries = [Missed(*name, offset) for name, offset in names.items()]
        return Pages(self.vector, entries, self._tell_missed)

    def _missed(self, server: int, since: int) -> Iterator[Missed]:
        names = self._shown[server].names_since(since)
        if not self.filters.changeable:
            kinds = self.filters.kinds
            for kind, key in names:
                if kind in kinds:
                    yield Missed(server, kind, key, since)
            return
        members = self._members[server]
        touched = dict.fromkeys(names)
        for (kind, key), entered in members.names.items():
            if entered > since:
                yield Missed(server, kind, key, None)
            elif (kind, key) in touched:
                yield Missed(server, kind, key, since)
        for (kind, key), left in members.left.items():
            if left > since:
                yield Missed(server, kind, key, None)

    def _tell_missed(self, entry: Missed, pieces: Pieces) -> None:
        server, kind, key, since = entry
        store = self._shown[server].store
        fields = store.get(kind, key)
        if fields is None or not self._has(Frozen(server, kind, key, fields)):
            change = store.change(kind, key, -1) if fields is None else None
            pieces.gone.append(encoding.gone(server, kind, key, change.last if change else None))
        elif since is None:
            pieces.made.append(encoding.entity(server, kind, key, fields))
        else:
            change = store.change(kind, key, since)
            if change is not None and change.fields is not None:
                pieces.made.append(encoding.entity(server, kind, key, change.fields))

    def _has(self, entry: Frozen) -> bool:
        return not self.filters.changeable or self._is_in(entry)
