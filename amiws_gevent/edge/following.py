"""What collectors tell on their streams: of `bus.api.EdgeEvents`, and of `feeds.shown.Live`.

While nothing is heard of a server, clients keep what they have of it, and it is stale, with a
reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gevent.event import Event

from amiws_gevent.batch import Batch, Position
from amiws_gevent.crossing.codec import (
    Changes,
    Entry,
    FormatError,
    Head,
    Told,
    Whole,
    decode,
    read_snapshot,
)
from amiws_gevent.crossing.streams import (
    DIRECTORY,
    Directory,
    decode_directory,
    lease_of_server,
    leases_of,
    server_of,
    stream_of,
)
from amiws_gevent.edge.mirror import STALE, Epoch, Mirror, ProgramMirror
from amiws_gevent.feeds.encoding import HISTORY, RESTART
from amiws_gevent.live.proxy import PROXY_ID, PROXY_NAME
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.runtime.outages import OutageLog

TURN = 0.003
"""Seconds for which entries are taken before others have their turn; one may take as long."""

NOT_YET = "the edge has not heard of a collector yet"

WAITING = "waiting"
"""What ``connection`` is while no collector has the server, as of a link that waits."""

_log = logging.getLogger("amiws_gevent.edge")


class Feeds(Protocol):
    """What is needed of `feeds.Feeds`."""

    def publish(self, batch: Batch) -> None: ...

    def goes_on_at(self, server: int, position: Position, lost: str = "") -> None: ...


class _Server:
    """What is known of a server."""

    def __init__(self, info: ServerInfo, mirror: Mirror) -> None:
        self.info = info
        self.mirror = mirror
        self.keeps_state = info.id == PROXY_ID
        self.last: Position | None = None
        """Of its last batch; None before the stream has begun."""


class Lease(NamedTuple):
    """A lease as an edge hears of it."""

    held: bool
    reason: str
    """Which collector has it, or why none has."""


class Following:
    """``on_directory`` is told what an edge has to do when it is another: follow, show, mask."""

    def __init__(self) -> None:
        self.feeds: Feeds | None = None
        """Set it before anything is told."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when a store has something to drain, or servers are others."""
        self.on_directory: Callable[[Directory], None] = lambda _: None
        self.directory: Directory | None = None
        self.lost = 0
        """How often batches were lost on the way."""
        self.reason = NOT_YET
        """Why no server's state is up to date; empty: that of some is."""
        self._program = ProgramMirror(ServerInfo(PROXY_ID, PROXY_NAME, False), self._amiss)
        self._servers: dict[int, _Server] = {PROXY_ID: _Server(self._program.info, self._program)}
        self._with_state: dict[int, Mirror] = {PROXY_ID: self._program}
        self._sources: dict[int, Epoch] = {}
        self._redis = NOT_YET  # why it is not there
        self._leases: dict[str, Lease] = {}
        self._format = ""
        self._complete = Event()
        self._limiter = LogLimiter()
        self._heard = False  # before, the bus says what is amiss, if that is no normal start
        self._outage = OutageLog()
        self._outage.lost(NOT_YET)

    # -- of `feeds.shown.Live` -----------------------------------------------------------

    @property
    def servers(self) -> Mapping[int, Mirror]:
        """Those that have state; the program itself (0) always has."""
        return self._with_state

    @property
    def sources(self) -> Mapping[int, Epoch]:
        """The streams of all whose events come; each as of where it begins."""
        return self._sources

    @property
    def keeps_state(self) -> bool:
        """Whether more has state than the program itself."""
        return self.directory is None or self.directory.keeps_state

    # -- what others ask -----------------------------------------------------------------

    @property
    def infos(self) -> Mapping[int, ServerInfo]:
        """The servers, without the program itself."""
        if self.directory is None:
            return {}
        return {one.id: one for one in self.directory.servers if one.id != PROXY_ID}

    @property
    def leases(self) -> Mapping[str, Lease]:
        """Those of all servers, by name."""
        none = Lease(False, NOT_YET)
        return {name: self._leases.get(name, none) for name in leases_of(self._servers)}

    def holders(self) -> list[str]:
        """One lease of each collector that has any."""
        found = {lease.reason: name for name, lease in self._leases.items() if lease.held}
        return list(found.values())

    def wait(self, timeout: float) -> bool:
        """Wait until all that there is has been told once; whether it was in time."""
        return bool(self._complete.wait(timeout))

    # -- of `bus.api.EdgeEvents` ---------------------------------------------------------

    def on_begin(self, stream: str, snapshot: bytes, earlier: Sequence[bytes]) -> None:
        server = server_of(stream)
        if server is None:
            self._take_directory(snapshot)
            return
        entries = map(decode, earlier)
        batches = (entry for entry in entries if isinstance(entry, Told))
        self._take(server, batches)
        self._take(server, read_snapshot(snapshot))
        self._look_whether_complete()

    def on_entries(self, stream: str, entries: Sequence[bytes]) -> None:
        server = server_of(stream)
        if server is None:
            self._take_directory(entries[-1])  # the newest is all that counts
        else:
            self._take(server, map(decode, entries))
            self._look_whether_complete()

    def on_broken(self, stream: str, reason: str) -> None:
        """The bus has logged it, and tells the next snapshot."""

    def on_connection(self, up: bool, reason: str) -> None:
        self._redis = "" if up else f"Redis cannot be reached: {reason}"
        self._look_at_reasons()

    def on_collector(self, lease: str, up: bool, reason: str) -> None:
        self._leases[lease] = Lease(up, reason if up else f"there is no collector: {reason}")
        server = server_of(lease)  # there may be hundreds, and all may be told of at once
        self._look_at_reasons(() if server is None else (server,))

    def _look_at_reasons(self, servers: Iterable[int] | None = None) -> None:
        """Find out what is amiss by now, of these servers or of all.

        That Redis is lost the bus has logged.
        """
        before, self.reason = self.reason, self._reason()
        if not self.reason:
            if self._outage.back():
                _log.info("collectors are heard")
        elif self._heard and not self._redis and self._outage.lost(self.reason):
            _log.error("the live state is not up to date: %s", self.reason)
        self._heard = self._heard or not self.reason
        if self._program.look(servers) or self.reason != before:
            self.on_change()

    def _reason(self) -> str:
        """Why nothing of any server is heard."""
        if self._redis or self._format:
            return self._redis or self._format
        reason = ""
        for info in () if self.directory is None else self.directory.servers:
            if info.id != PROXY_ID:
                missing = self._missing(info.id)
                if not missing:
                    return ""
                reason = reason or missing
        return reason or NOT_YET

    def _missing(self, server: int) -> str:
        """Why no collector has a server; empty: one has."""
        lease = self._leases.get(lease_of_server(server), Lease(False, NOT_YET))
        return "" if lease.held else lease.reason

    def _amiss(self, server: int) -> Mapping[str, Any]:
        """Fields of a server's entity that are otherwise than they were told."""
        if reason := self._redis or self._format:
            return {"sync": STALE, "sync_reason": reason}
        if reason := self._missing(server):
            stale = {"sync": STALE, "sync_reason": reason}
            return {**stale, "connection": WAITING, "connection_reason": reason}
        return {}

    # -- what is told --------------------------------------------------------------------

    def _take_directory(self, data: bytes) -> None:
        try:
            directory = decode_directory(data)
        except FormatError as error:
            self._tell_format(error)
            return
        self._format = ""
        if directory == self.directory:
            self._look_at_reasons()
            return
        self.directory = directory
        known, self._servers = self._servers, {}
        for info in directory.servers:
            server = known.get(info.id)
            if server is None or server.info != info:
                server = _Server(info, Mirror(info) if info.id != PROXY_ID else self._program)
            self._servers[info.id] = server
        self._servers.setdefault(PROXY_ID, known[PROXY_ID])
        there = leases_of(self._servers)
        self._leases = {name: lease for name, lease in self._leases.items() if name in there}
        self._look_at_reasons()
        self.on_directory(directory)
        self._sources = {
            server: epoch for server, epoch in self._sources.items() if server in self._servers
        }
        self._look_whether_complete()
        self._changed()

    def _changed(self) -> None:
        self._with_state = {
            server: one.mirror
            for server, one in self._servers.items()
            if one.keeps_state and one.mirror.is_whole
        }
        self.on_change()

    def streams(self) -> list[str]:
        """Those that are to be followed."""
        return [DIRECTORY, *map(stream_of, self._servers)]

    def _take(self, server: int, entries: Iterable[Entry]) -> None:
        try:
            turn_end = time.monotonic() + TURN
            for entry in entries:
                known = self._servers.get(server)
                if known is None:  # it has gone meanwhile
                    return
                self._take_entry(known, entry)
                if time.monotonic() > turn_end:
                    yield_to_loop()
                    turn_end = time.monotonic() + TURN
        except FormatError as error:
            self._tell_format(error)

    def _take_entry(self, server: _Server, entry: Entry) -> None:
        if isinstance(entry, Told):
            self._take_batch(server, entry)
        elif isinstance(entry, Head):
            server.keeps_state = entry.keeps_state
            self._expect(server, entry.events)
            self._changed()
        elif isinstance(entry, Whole):
            server.mirror.take_whole(entry)
            if entry.last:
                self._changed()
        elif isinstance(entry, Changes):
            server.mirror.take_changes(entry)
            if entry.last:
                self.on_change()

    def _take_batch(self, server: _Server, told: Told) -> None:
        position, last = told.batch.position, server.last
        if last is not None and last.epoch == position.epoch and position.offset <= last.offset:
            return  # it was told before
        self._expect(server, Position(position.epoch, told.before))
        server.last = position
        assert self.feeds is not None
        self.feeds.publish(told.batch)

    def _expect(self, server: _Server, before: Position) -> None:
        """What comes next is behind a batch: tell clients if they have missed some."""
        last = server.last
        if last is not None and last.epoch == before.epoch and last.offset >= before.offset:
            return
        lost = ""
        if last is not None:
            lost = HISTORY if last.epoch == before.epoch else RESTART
            self.lost += 1
        server.last = before
        self._sources[server.info.id] = Epoch(*before)
        assert self.feeds is not None
        self.feeds.goes_on_at(server.info.id, before, lost)

    def _tell_format(self, error: FormatError) -> None:
        self._format = f"the collector is of another version: {error}"
        self._limiter.log(
            _log,
            logging.ERROR,
            "format",
            "%s; use the same version for all processes",
            self._format,
        )
        self._look_at_reasons()

    def _look_whether_complete(self) -> None:
        if not self._complete.is_set() and self.directory is not None:
            with_state = self.directory.with_state
            if all(
                one.last is not None and (server not in with_state or one.mirror.is_whole)
                for server, one in self._servers.items()
            ):
                self._complete.set()
