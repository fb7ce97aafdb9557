"""What edges are told: batches as they come, and what each flush changes of the state.

It is in the place of `feeds.Feeds` at a collector, which has no clients. A stream begins with all
that there is; so does one of which something was lost. What is told in steps may be newer than its
position, never older, as everywhere in `feeds`.
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
from amiws_gevent.feeds.deltas import Chunk, Flush
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.feeds.shown import Served, Shown, Stream
from amiws_gevent.hub import Hub
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
    """Tells edges. ``key`` makes pseudonyms.

    ``writer`` may be set later, before anything is published: until then all is dropped.
    """

    def __init__(
        self,
        hub: Hub,
        live: Live,
        bounds: Bounds,
        key: bytes,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(hub, live, bounds, clock=clock)
        self.writer: Writer | None = None
        self._servers = live
        self._key = key
        self._directory: Directory | None = None
        self._streams: dict[int, _Stream] = {}
        self._due: set[int] = set()

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
        if self.writer is None:
            return
        server = batch.server.id
        stream = self._streams.get(server)
        if stream is None:
            stream = self._streams[server] = _Stream(batch.server)
        last, stream.last = stream.last, batch.position
        before = 0 if last is None or last.epoch != batch.position.epoch else last.offset
        self.writer.append(stream_of(server), encode_batch(batch, before))

    # -- the state (`hub.Stage`) ---------------------------------------------------------

    def deliveries(self) -> Iterator[Delivery]:
        """Nothing for clients: what has changed goes to the bus, and to plugins, in steps."""
        self._look_at_servers()
        flushes = [flush for shown in self._shown.values() if (flush := shown.flush()) is not None]
        writer = self.writer
        if writer is not None:
            self._tell_directory(writer)
            for flush in flushes:
                yield from self._contained(flush.server, self._tell_changes(writer, flush))
            for server in list(self._servers.sources):
                yield from self._contained(server, self._tell_all(writer, server))
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

    def _tell_directory(self, writer: Writer) -> None:
        """Which servers there are, if that has changed; streams of those that are gone end."""
        sources = self._servers.sources
        infos = {server: shown.info for server, shown in self._shown.items()}
        servers = tuple(infos.get(server) or source.info for server, source in sources.items())
        directory = Directory(
            servers,
            frozenset(self._shown),
            self._live.keeps_state,
            self._showing.withheld,
            self._key,
        )
        if directory == self._directory:
            return
        self._directory = directory
        data = directory.encode()
        writer.append(DIRECTORY, data)
        writer.save(DIRECTORY, data)
        for server in [server for server in self._streams if server not in sources]:
            del self._streams[server]
            self._due.discard(server)
            writer.remove(stream_of(server))

    def _tell_changes(self, writer: Writer, flush: Flush) -> Iterator[Delivery]:
        stream = self._streams.get(flush.server)
        if stream is None or stream.told is not flush.shown:
            return  # all of it is told below
        name = stream_of(flush.server)
        held: Sequence[Change] | None = None
        for chunk in flush.chunks():
            if held is not None:
                writer.append(name, encode_changes(Changes(flush.position, False, held)))
                yield MOMENT
            held = _changes_of(chunk)
        if held is not None:
            writer.append(name, encode_changes(Changes(flush.position, True, held)))
            yield MOMENT

    def _tell_all(self, writer: Writer, server: int) -> Iterator[Delivery]:
        """Begin a stream, or save a snapshot of it, if it is to be."""
        source = self._servers.sources.get(server)
        if source is None:  # gone meanwhile
            return
        shown = self._shown.get(server)
        stream = self._streams.get(server)
        if stream is None:
            stream = self._streams[server] = _Stream(source.info)
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

    @staticmethod
    def _head(stream: _Stream, epoch: str, shown: Shown | None) -> Head:
        last = stream.last
        if last is None or last.epoch != epoch:
            last = Position(epoch, 0)
        return Head(stream.info, last, shown is not None)

    def _pieces(self, stream: _Stream, shown: Shown) -> Iterator[Whole]:
        """All that there is, some at a time; what comes meanwhile is told by the next flush."""
        store, position = shown.store, shown.position
        floor = stream.floor(shown, self._clock())
        names = iter([(kind, key) for kind in store.kinds for key in store.keys(kind)])
        first = True
        while True:
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
