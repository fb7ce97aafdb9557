"""What edges are told: batches as they come, and what each flush changes of the state.

It is in the place of `feeds.Feeds` at a collector, which has no clients. A stream begins with all
that there is; so does one of which something was lost. What is told in steps may be newer than its
position, never older, as everywhere in `feeds`.

Only streams that were taken over are told, since others are those of other collectors. One that
another collector has told before goes on behind what that has told: with a gap in the events, and
with all the state once all of it was asked for, of which edges tell their clients what is other.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

from amiws_gevent.batch import Batch, Position
from amiws_gevent.bus.api import Writer
from amiws_gevent.crossing.codec import (
    Changes,
    Head,
    Item,
    SnapshotWriter,
    Whole,
    encode_batch,
    encode_changes,
    encode_head,
    encode_whole,
)
from amiws_gevent.crossing.streams import DIRECTORY, Directory, server_of, stream_of
from amiws_gevent.crossing.tail import Tail
from amiws_gevent.feeds.deltas import Chunk, Flush
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.feeds.shown import Served, Shown, Stream
from amiws_gevent.hub import Hub
from amiws_gevent.live.proxy import PROXY_ID
from amiws_gevent.passes import MOMENT, Delivery
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.state.store import Change

PIECE = 500
"""Entities of one entry that tells all: a millisecond or so."""

PAST = 300.0
"""Seconds for which a snapshot knows what was changed when: who was away for so long is told what
has changed meanwhile, also by an edge that has just started."""


_log = logging.getLogger("amiws_gevent.collector")


class Source(Stream, Protocol):
    """A server's stream, with its name (`pipeline.Source`)."""

    @property
    def info(self) -> ServerInfo: ...


class Live(Protocol):
    """All servers (`live.LiveState`); see `feeds.shown.Live`."""

    @property
    def servers(self) -> Mapping[int, Served]: ...

    @property
    def sources(self) -> Mapping[int, Source]: ...

    @property
    def keeps_state(self) -> bool: ...


class _Stream:
    """A server's stream as it was told."""

    def __init__(self, info: ServerInfo) -> None:
        self.info = info
        self.last: Position | None = None
        """Of the last batch."""
        self.told: object = None
        """What it has begun with: what is shown of the server, or the epoch without a state."""
        self.waits = False
        """Whether the state that edges have is to stay until all of it is known anew."""
        self.state: Position | None = None
        """Where what plugins make of the state goes on."""
        self.offsets: deque[tuple[float, int]] = deque()
        """When the state was at which offset, the oldest first."""

    def floor(self, shown: Shown, now: float) -> int:
        """An offset before which nobody has to know what has changed; remember the one of now."""
        offsets = self.offsets
        while len(offsets) > 1 and offsets[1][0] <= now - PAST:
            offsets.popleft()
        offsets.append((now, shown.offset))
        at, offset = offsets[0]
        floor = offset if at <= now - PAST else 0
        return max(floor, shown.store.forgotten)


class Publishing(Feeds):
    """Tells edges, by ``writer``, which is set before anything is taken over.

    ``key`` makes pseudonyms. ``is_settled`` says of a server whether all of its state was asked
    for.
    """

    def __init__(
        self,
        hub: Hub,
        live: Live,
        bounds: Bounds,
        key: bytes,
        *,
        is_settled: Callable[[int], bool] = lambda _server: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(hub, live, bounds, clock=clock)
        self.writer: Writer
        self.on_flushed: Callable[[], None] = lambda: None
        """Called when something of the state may have changed."""
        self.infos: Callable[[], Mapping[int, ServerInfo]] = dict
        """All servers of the configuration, whoever has them."""
        self._is_settled = is_settled
        self._servers = live
        self.key = key
        """That makes pseudonyms."""
        self._directory: Directory | None = None
        self._streams: dict[int, _Stream] = {}
        self._due: set[int] = set()

    # -- which streams this collector has ------------------------------------------------

    def take_over(self, info: ServerInfo, tail: Tail | None) -> None:
        """Tell a server's stream from now on, behind what another collector has told of it."""
        stream = self._streams[info.id] = _Stream(info)
        if tail is not None:
            stream.last = Position(tail.events.epoch, tail.offset + 1)
            stream.waits = info.id != PROXY_ID
            stream.state = tail.state
            head = Head(info, stream.last, info.id == PROXY_ID or self.shows_state)
            self.writer.append(stream_of(info.id), encode_head(head))
        if info.id == PROXY_ID:
            self._directory = None
        self._hub.stir()

    def give_up(self, server: int) -> None:
        """Tell a stream no longer: another collector does, or nobody."""
        self._streams.pop(server, None)
        self._due.discard(server)

    def end(self, server: int) -> None:
        """The server is no longer in the configuration: its stream ends."""
        if server in self._streams:
            self.give_up(server)
            self.writer.remove(stream_of(server))

    def use_key(self, key: bytes) -> None:
        """Have edges make pseudonyms with another key."""
        self.key = key
        self._hub.stir()

    @property
    def has_program(self) -> bool:
        """Whether this collector tells of the program itself, and which servers there are."""
        return PROXY_ID in self._streams

    # -- what the bus asks for (`bus.api.Publisher`) -------------------------------------

    def on_broken(self, stream: str) -> None:
        """Begin a stream anew."""
        server = server_of(stream)
        if server is None:
            self._directory = None
        elif server in self._streams:
            self._streams[server].told = None
        self._hub.stir()

    def on_snapshot_due(self, stream: str) -> None:
        """Save a snapshot with the next flush."""
        server = server_of(stream)
        if server is None:
            self._directory = None
        else:
            self._due.add(server)
        self._hub.stir()

    # -- batches -------------------------------------------------------------------------

    def publish(self, batch: Batch) -> None:
        """Tell all edges; of `Feeds`, without clients and history."""
        self._hub.published_messages += len(batch)
        server = batch.server.id
        stream = self._streams.get(server)
        if stream is None:  # what came through plugins after it was lost
            return
        last, stream.last = stream.last, batch.position
        before = 0 if last is None or last.epoch != batch.position.epoch else last.offset
        self.writer.append(stream_of(server), encode_batch(batch, before))

    # -- the state (`hub.Stage`) ---------------------------------------------------------

    def deliveries(self) -> Iterator[Delivery]:
        """Nothing for clients: what has changed goes to the bus, and to plugins, in steps."""
        self._look_at_servers()
        flushes = [flush for shown in self._shown.values() if (flush := shown.flush()) is not None]
        if self.has_program:
            self._tell_directory()
        for flush in flushes:
            yield from self._contained(flush.server, self._tell_changes(flush))
        for server in list(self._streams):
            yield from self._contained(server, self._tell_all(server))
        self.on_flushed()
        if self._watcher is not None:
            yield from self._tell_watcher(self._watcher, flushes)

    def _contained(self, server: int, steps: Iterator[Delivery]) -> Iterator[Delivery]:
        """A fault with one server is not that of all: its stream is to begin anew."""
        try:
            yield from steps
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._limiter.log(
                _log,
                logging.ERROR,
                ("stream", server),
                "internal error: edges are not told of the state of server %d; its stream begins "
                "anew with the next change",
                server,
                exc_info=error,
            )
            if server in self._streams:
                self._streams[server].told = None

    def _tell_directory(self) -> None:
        """Which servers there are, if that has changed."""
        program = self._servers.sources[PROXY_ID].info
        infos = {PROXY_ID: program}
        infos |= {server: info for server, info in self.infos().items() if server != PROXY_ID}
        with_state = infos.keys() if self.shows_state else (PROXY_ID,)
        directory = Directory(
            tuple(infos.values()),
            frozenset(with_state),
            self._live.keeps_state,
            self._showing.withheld,
            self.key,
        )
        if directory == self._directory:
            return
        self._directory = directory
        data = directory.encode()
        self.writer.append(DIRECTORY, data)
        self.writer.save(DIRECTORY, data)

    def _tell_changes(self, flush: Flush) -> Iterator[Delivery]:
        stream = self._streams.get(flush.server)
        if stream is None or stream.told is not flush.shown:
            return  # all of it is told below
        name, writer = stream_of(flush.server), self.writer
        held: Sequence[Change] | None = None
        for chunk in flush.chunks():
            if held is not None:
                writer.append(name, encode_changes(Changes(flush.position, False, held)))
                yield MOMENT
            held = _changes_of(chunk)
        if held is not None:
            writer.append(name, encode_changes(Changes(flush.position, True, held)))
            yield MOMENT

    def _tell_all(self, server: int) -> Iterator[Delivery]:
        """Begin a stream, or save a snapshot of it, if it is to be."""
        source, stream = self._servers.sources.get(server), self._streams.get(server)
        if source is None or stream is None:  # gone meanwhile, or not connected yet
            return
        shown, writer = self._shown.get(server), self.writer
        if stream.waits and not self._is_whole(server, shown):
            return
        stream.waits = False
        what = source.epoch if shown is None else shown
        begins = stream.told is not what
        if not begins and server not in self._due:
            return
        self._due.discard(server)
        if begins:
            stream.info, stream.told = source.info, what
            stream.offsets.clear()
            writer.append(stream_of(server), encode_head(self._head(stream, source.epoch, shown)))
        snapshot = SnapshotWriter()
        if shown is not None:
            for piece in self._pieces(stream, shown):
                entry = encode_whole(piece)
                snapshot.add(entry)
                if begins:
                    writer.append(stream_of(server), entry)
                yield MOMENT
                if stream.told is not what:  # it was broken meanwhile
                    self._hub.stir()
                    return
        snapshot.add(encode_head(self._head(stream, source.epoch, shown)))
        writer.save(stream_of(server), snapshot.finish())

    def _is_whole(self, server: int, shown: Shown | None) -> bool:
        """Whether all that can be known of a server's state is shown."""
        if shown is not None and shown.changed is not None and not shown.changed.is_idle:
            return False
        return self._is_settled(server)

    def _goes_on_after(self, server: int) -> Position | None:
        stream = self._streams.get(server)
        if stream is None:
            return None
        after, stream.state = stream.state, None
        return after

    @staticmethod
    def _head(stream: _Stream, epoch: str, shown: Shown | None) -> Head:
        last = stream.last
        if last is None or last.epoch != epoch:
            last = Position(epoch, 0)
        return Head(stream.info, last, shown is not None)

    def _pieces(self, stream: _Stream, shown: Shown) -> Iterator[Whole]:
        """All that there is, some at a time; what comes meanwhile is told by the next flush."""
        position = shown.position
        floor = stream.floor(shown, self._clock())
        names = iter([(kind, key) for kind in shown.store.kinds for key in shown.store.keys(kind)])
        first = True
        while True:
            store = shown.current()  # for each piece, since there is more by then
            some = list(islice(names, PIECE))
            items = [
                Item(kind, key, fields, store.known(kind, key, floor))
                for kind, key in some
                if (fields := store.get(kind, key)) is not None
            ]
            last = len(some) < PIECE
            buried = store.buried(floor) if last else ()
            yield Whole(position, floor, first, last, items, buried)
            if last:
                return
            first = False


def _changes_of(chunk: Chunk) -> list[Change]:
    return [
        Change(delta.kind, delta.key, None, False, delta.last)
        if delta.fields is None
        else Change(delta.kind, delta.key, delta.told, delta.new)
        for delta in chunk.deltas
    ]
