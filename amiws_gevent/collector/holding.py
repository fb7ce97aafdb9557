"""The leases that a collector holds, and what follows of it: links, live state, streams.

A server whose lease is gained is connected to, and its stream goes on where another collector has
left it. One whose lease is lost is disconnected at once; the streams of the others go on.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence

import gevent

from amiws_gevent.bus.api import CollectorBus
from amiws_gevent.collector.program import Program
from amiws_gevent.collector.publishing import Publishing
from amiws_gevent.config import AmiHost, Settings
from amiws_gevent.crossing.codec import FormatError
from amiws_gevent.crossing.streams import (
    DIRECTORY,
    PROGRAM,
    decode_directory,
    lease_of_server,
    leases_of,
    server_of,
    stream_of,
)
from amiws_gevent.crossing.tail import Tail, read_entities, read_tail
from amiws_gevent.link.pool import LOG_OFF_TIME, Pool
from amiws_gevent.live import LiveState
from amiws_gevent.live.proxy import PROXY_ID
from amiws_gevent.pipeline import Source
from amiws_gevent.state.servers import SERVER

GONE = "no longer in the configuration"

_log = logging.getLogger("amiws_gevent.collector")


class Holding:
    """Of `reload.Configured`. ``on_key`` gets the key of pseudonyms that edges have."""

    def __init__(
        self,
        live: LiveState,
        pool: Pool,
        publishing: Publishing,
        program: Program,
        bus: CollectorBus,
        on_key: Callable[[bytes], None],
    ) -> None:
        self._live = live
        self._pool = pool
        self._publishing = publishing
        self._program = program
        self._bus = bus
        self._on_key = on_key
        self._settings: Settings | None = None
        self._held: dict[str, object] = {}  # leases that are not about to be given back
        self._begun: set[int] = set()
        self._tails: dict[int, Tail] = {}  # of servers that are about to be connected to
        program.own = self._begun
        publishing.infos = lambda: program.infos
        pool.make_source = self._make_source

    def configure(self, settings: Settings) -> None:
        """Have the leases of these servers, as many as are our share."""
        self._settings = settings
        hosts = {host.id: host for host in settings.amihosts}
        self._program.configure(hosts)
        for server in self._begun - hosts.keys() - {PROXY_ID}:
            self._publishing.end(server)
            self._begun.discard(server)
            self._held.pop(lease_of_server(server), None)
        self._live.configure(settings)
        self._use(GONE)
        self._bus.want(leases_of(hosts))

    def holds(self, server: int) -> bool:
        """Whether an action may be sent to a server."""
        return self._bus.holds(lease_of_server(server))

    # -- of `bus.api.CollectorEvents` ----------------------------------------------------

    def gained(self, lease: str, term: int) -> None:
        """Go on with its streams; of one that is held already only the term is another."""
        if lease in self._held:
            return
        held = self._held[lease] = object()
        _log.debug("the lease %s goes on here (term %d)", lease, term)  # the bus has logged it
        if lease == PROGRAM:
            self._bus.writer.tail(DIRECTORY, self._take_key)
        stream = stream_of(PROXY_ID) if lease == PROGRAM else lease

        def on_tail(snapshot: bytes | None, entries: Sequence[bytes]) -> None:
            gevent.spawn(self._take_over, lease, held, stream, snapshot, entries)

        self._bus.writer.tail(stream, on_tail)

    def lost(self, lease: str, reason: str) -> None:
        """Close its link at once: another collector may be connected."""
        if self._held.pop(lease, None) is not None:
            _log.warning("this collector has lost the lease %s: %s", lease, reason)
        self._leave(lease, f"this collector has lost the lease: {reason}", log_off=False)

    def yields(self, lease: str, reason: str) -> None:
        """Log off, and then give the lease back."""
        _log.info("this collector gives the lease %s back: %s", lease, reason)
        self._held.pop(lease, None)
        leaving = self._leave(lease, f"another collector takes the server: {reason}", log_off=True)
        gevent.spawn(self._give_back, lease, leaving)

    def _give_back(self, lease: str, leaving: Sequence[gevent.Greenlet[..., None]]) -> None:
        gevent.joinall(leaving, timeout=2 * LOG_OFF_TIME)
        self._bus.give_back(lease)

    def _leave(
        self, lease: str, reason: str, *, log_off: bool
    ) -> Sequence[gevent.Greenlet[..., None]]:
        server = PROXY_ID if lease == PROGRAM else server_of(lease)
        if server is None or server not in self._begun:
            return ()
        self._begun.discard(server)
        if lease == PROGRAM:
            self._program.end()
        self._publishing.give_up(server)
        return self._use(reason, log_off=log_off)

    # -- what goes on --------------------------------------------------------------------

    def _take_key(self, snapshot: bytes | None, entries: Sequence[bytes]) -> None:
        """Pseudonyms that edges have shown must be known to them later."""
        told = [*((snapshot,) if snapshot is not None else ()), *entries]
        try:
            if told:
                self._on_key(decode_directory(told[-1]).key)
        except FormatError as error:
            _log.warning("clients see other pseudonyms from now on: %s", error)

    def _take_over(
        self,
        lease: str,
        held: object,
        stream: str,
        snapshot: bytes | None,
        entries: Sequence[bytes],
    ) -> None:
        try:
            tail = read_tail(snapshot, entries)
            known = {}
            if lease == PROGRAM:
                known = read_entities(snapshot, entries, SERVER)
        except FormatError as error:
            _log.warning("the stream %s begins anew: %s", stream, error)
            tail, known = None, {}
        if self._held.get(lease) is not held:
            return  # lost meanwhile
        if lease == PROGRAM:
            self._begin_program(tail)
            self._program.begin(known)
        else:
            self._begin_server(server_of(lease), tail)
        self._use("")

    def _begin_program(self, tail: Tail | None) -> None:
        source = self._live.proxy
        if tail is None:
            # Others may have gone on in the epoch that this collector knows, further than it.
            source.epoch = secrets.token_hex(8)
        else:
            source.epoch = tail.events.epoch
            source.offset = max(source.offset, tail.offset + 1)
        self._begun.add(PROXY_ID)
        self._publishing.take_over(source.info, tail)

    def _begin_server(self, server: int | None, tail: Tail | None) -> None:
        info = None if server is None else self._program.infos.get(server)
        if info is None:  # a reload has removed it
            return
        if tail is not None:
            self._tails[info.id] = tail
        self._begun.add(info.id)
        self._publishing.take_over(info, tail)

    def _make_source(self, host: AmiHost) -> Source:
        source, tail = Source(host), self._tails.pop(host.id, None)
        if tail is not None:
            source.epoch, source.offset = tail.events.epoch, tail.offset + 1
        return source

    def _use(self, reason: str, *, log_off: bool = True) -> Sequence[gevent.Greenlet[..., None]]:
        """Have links to the servers that this collector has; ``reason``: why not to others."""
        assert self._settings is not None
        hosts = [host for host in self._settings.amihosts if host.id in self._begun]
        settings = self._settings.model_copy(update={"amihosts": hosts})
        return self._pool.use(settings, reason, log_off=log_off)
