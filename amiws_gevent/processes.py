"""Processes that share the work over a bus: collectors have the AMI links, edges the clients.

Each is the program of `server` with some parts made otherwise. What it does not need is there and
idle, so that metrics say 0 of it.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gevent

from amiws_gevent.access import Access
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.actions.sharedlimits import SharedActionLimits
from amiws_gevent.afar import Afar
from amiws_gevent.audit.trail import Trail
from amiws_gevent.bus import api
from amiws_gevent.bus.needed import needing_redis
from amiws_gevent.collector.actions import HeldLinks, PartActions, Uncounted
from amiws_gevent.collector.answering import Answering
from amiws_gevent.collector.facilities import CollectorFacilities
from amiws_gevent.collector.holding import Holding
from amiws_gevent.collector.program import Entities, Program, Reports
from amiws_gevent.collector.publishing import Publishing
from amiws_gevent.config import Limits, LoadResult, Settings
from amiws_gevent.config.fields import BOTH, COLLECTOR, EDGE
from amiws_gevent.crossing.streams import PROGRAM, Directory, lease_of, lease_of_server
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.edge.actions import RemoteActions, RemoteDispatcher
from amiws_gevent.edge.facilities import EdgeFacilities
from amiws_gevent.edge.following import Following
from amiws_gevent.edge.trail import RemoteTrail
from amiws_gevent.feeds.feeds import Feeds, Showing
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.feeds.paging import SharedCursors
from amiws_gevent.live.proxy import CONNECTED, PROXY_ID
from amiws_gevent.metrics import OnBus
from amiws_gevent.plugins.facilities import Facilities
from amiws_gevent.reload import ClientParts, ServerParts
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.server import Server, Whole
from amiws_gevent.state.servers import SERVER
from amiws_gevent.web.logins import LoginMemory
from amiws_gevent.web.monitor import Readiness, readiness
from amiws_gevent.web.sharedlogins import SharedLoginMemory

# Seconds
BEGIN_TIME = 5.0  # for an edge to hear of all that there is, before it listens
CATCH_UP_LOOK = 0.02
BEHIND_TIME = 2.0  # for who comes from another edge that has heard more
BUS_STOP_TIME = 1.0

_log = logging.getLogger("amiws_gevent.processes")

NOT_REACHED_YET = "Redis has not been reached yet"
NO_LEASE = "other collectors have all servers"


class Collector(Server):
    """Has links to the servers whose leases it holds; of `bus.api.CollectorEvents`."""

    def _make_shared(self, settings: Settings) -> None:
        key = secrets.token_bytes(32)
        self._access = Access(key)
        self._publishing = Publishing(
            self._hub,
            self._live,
            Bounds.of(settings.limits),
            key,
            is_settled=self._live.is_settled,
        )
        self._feeds = self._publishing
        self._live.on_change = self._hub.stir
        self._audit = self._trail(Trail())
        self._program = Program(self._live)
        self._redis = NOT_REACHED_YET
        self._bus = self._make_bus(settings)
        self._publishing.writer = self._bus.writer
        self._afar = Afar(self._bus.caller, lambda: self._program.hosts)
        self._reports = Reports(self._bus.caller, self._to_report, self._use_common)
        self._publishing.on_flushed = self._reports.wake

    def _make_bus(self, settings: Settings) -> api.CollectorBus:
        assert settings.redis is not None
        made: api.CollectorBus = needing_redis("redis_bus").make_collector(
            settings.redis,
            self,
            _bounds(settings.limits),
            lease_of=lease_of,
            uncounted=[PROGRAM],
            alone=self._whole is not None and self._whole.alone,
        )
        return made

    def _facilities(self) -> Facilities:
        self._holding = Holding(
            self._live, self._pool, self._publishing, self._program, self._bus, self._use_key
        )
        self._held_links = HeldLinks(
            lambda: self._program.hosts, self._pool.links, self._holding.holds
        )
        self._for_plugins = CollectorFacilities(
            self._held_links,
            self._feeds,
            self._live.proxy,
            self._pipeline.shown,
            program=self._program,
            afar=self._afar,
        )
        return self._for_plugins

    def _make_limits(self, settings: Settings) -> ActionLimits:
        return Uncounted(settings.limits)

    def _make_actions(self) -> None:
        rights_of = self._access.rights_of
        self._dispatcher = Dispatcher(
            self._held_links, rights_of=rights_of, audit=self._audit, limits=self._action_limits
        )
        self._pipeline.on_read = self._dispatcher.heard
        actions = PartActions(
            self._held_links,
            self._pipeline.shown,
            rights_of=rights_of,
            audit=self._audit,
            action_limits=self._action_limits,
            call_of=self._live.call_of,
        )
        self._actions = actions
        answering = Answering(
            actions,
            self._dispatcher,
            self._audit,
            self._for_plugins,
            self._take_report,
            name=f"{socket.gethostname()}:{os.getpid()}",
        )
        self._bus.callee.serve(answering.methods)

    def _server_parts(self) -> ServerParts:
        return ServerParts(self._pipeline, [self._holding])

    def _client_parts(self) -> None:
        return None

    def start(self) -> None:
        """Ask for leases, and connect to the servers whose leases are gained."""
        super().start()
        self._bus.start()
        self._reports.start()

    def _start_clients(self) -> None:
        _log.info("collector: AMI servers: %d", len(self.settings.amihosts))
        if self.settings.metrics_listen is None and self._whole is None:
            _log.warning(
                "metrics_listen is not given: a collector has no other address for /metrics, "
                "/healthz and /readyz"
            )

    def stop(self) -> None:
        """Log off from servers, give the leases back, and end."""
        self._reports.stop()
        super().stop()
        self._bus.stop(BUS_STOP_TIME)

    def _server_names(self) -> dict[int, str]:
        return {server: host.name for server, host in self._program.hosts.items()}

    def _readiness(self) -> Readiness:
        links = self._pool.links.values()
        bus = {
            "process": self.process,
            "up": self.up,
            "reason": self._redis or ("" if self.held else NO_LEASE),
            "leases": dict(self.held),
        }
        return readiness(not self._stopping, links, audit=self._audit.state, bus=bus)

    # -- what collectors have in common --------------------------------------------------

    def _to_report(self) -> Entities | None:
        if self._program.is_here:
            return None
        return self._program.entities(lambda server: self._bus.term(lease_of_server(server)))

    def _take_report(self, servers: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if not self._program.take(servers):
            return None
        return {"term": self._bus.term(PROGRAM), "key": self._publishing.key.hex()}

    def _use_common(self, common: Mapping[str, Any]) -> None:
        self._use_key(bytes.fromhex(common["key"]))

    def _use_key(self, key: bytes) -> None:
        """Know the pseudonyms that clients of edges see."""
        if key == self._publishing.key:
            return
        self._publishing.use_key(key)
        self._access.use_key(key)
        policy = self._access.prepare(self.settings)
        self._access.use(policy, [host.id for host in self.settings.amihosts])

    # -- of `metrics.OnBus` --------------------------------------------------------------

    process = COLLECTOR
    url = None
    lost = 0
    unshared = 0

    @property
    def up(self) -> bool:
        """Whether Redis is there, and some lease is held."""
        return not self._redis and bool(self.held)

    @property
    def held(self) -> Mapping[str, int]:
        """The terms of the leases that this collector holds."""
        return self._bus.held

    @property
    def refusals(self) -> int:
        """See `bus.api.CollectorBus`."""
        return self._bus.refusals

    @property
    def dropped(self) -> int:
        """See `bus.api.CollectorBus`."""
        return self._bus.dropped

    @property
    def waiting(self) -> int:
        """See `bus.api.CollectorBus`."""
        return self._bus.waiting

    def lag(self) -> Mapping[str, int]:
        """A collector reads no stream."""
        return {}

    def _on_bus(self) -> OnBus:
        return self

    # -- of `bus.api.CollectorEvents` ----------------------------------------------------

    def on_broken(self, stream: str) -> None:
        """See `Publishing.on_broken`."""
        self._publishing.on_broken(stream)

    def on_snapshot_due(self, stream: str) -> None:
        """See `Publishing.on_snapshot_due`."""
        self._publishing.on_snapshot_due(stream)

    def on_gained(self, lease: str, term: int) -> None:
        """See `Holding.gained`."""
        self._holding.gained(lease, term)

    def on_lost(self, lease: str, reason: str) -> None:
        """See `Holding.lost`."""
        if not self._stopping:
            self._holding.lost(lease, reason)

    def on_yield(self, lease: str, reason: str) -> None:
        """See `Holding.yields`."""
        self._holding.yields(lease, reason)

    def on_connection(self, up: bool, reason: str) -> None:
        """Redis is there or not, as the bus has logged; may be called again with another reason."""
        self._redis = "" if up else f"Redis cannot be reached: {reason}"


class Edge(Server):
    """Serves clients with what a collector tells."""

    def _make_shared(self, settings: Settings) -> None:
        self._access = Access()
        self._following = Following()
        self._following.on_change = self._hub.stir
        self._following.on_directory = self._use_directory
        assert settings.redis is not None
        self._prefix = settings.redis.prefix
        self._bus = self._make_bus(settings)
        self._sharing = self._bus.sharing
        self._feeds = Feeds(
            self._hub,
            self._following,
            Bounds.of(settings.limits),
            told_again=(PROXY_ID,),
            behind=BEHIND_TIME,
            cursors=SharedCursors(time.monotonic, self._sharing),
        )
        self._following.feeds = self._feeds
        self._audit = self._trail(RemoteTrail(self._bus.caller, self._following.holders))
        self._serves = False

    def _make_bus(self, settings: Settings) -> api.EdgeBus:
        assert settings.redis is not None
        made: api.EdgeBus = needing_redis("redis_bus").make_edge(
            settings.redis, self._following, _bounds(settings.limits), lease_of=lease_of
        )
        return made

    def _make_limits(self, settings: Settings) -> ActionLimits:
        return SharedActionLimits(self._sharing, settings.limits)

    def _make_logins(self) -> LoginMemory:
        self._shared_logins = SharedLoginMemory(self._sharing, self._prefix)
        return self._shared_logins

    def _facilities(self) -> Facilities:
        afar = Afar(self._bus.caller, lambda: self._following.infos)
        return EdgeFacilities(self._feeds, afar)

    def _make_actions(self) -> None:
        rights_of, caller = self._access.rights_of, self._bus.caller
        self._dispatcher = RemoteDispatcher(
            self._following,
            caller,
            rights_of=rights_of,
            audit=self._audit,
            limits=self._action_limits,
        )
        self._actions = RemoteActions(
            self._following,
            caller,
            rights_of=rights_of,
            audit=self._audit,
            action_limits=self._action_limits,
        )

    def _server_parts(self) -> None:
        return None

    def _client_parts(self) -> ClientParts | None:
        self._shared_logins.on_logout = self._watch.look
        self._shared_logins.on_proxy_logout = self._watch.end_of_proxy
        return super()._client_parts()

    def start(self) -> None:
        """Hear of all that there is, and then listen; raises StartError with nothing left open."""
        self._bus.reader.follow(self._following.streams())
        self._bus.start()
        self._sharing.start(self._shared_logins)
        try:
            known = self._has_heard_all()
            if not known:
                reason = self._following.reason or "not all has come"
                _log.warning("clients are served before all is known: %s", reason)
            if not self._sharing.wait(BEGIN_TIME if known else 0.0):
                _log.warning("clients are served before logouts at other edges are known")
            super().start()
        except BaseException:
            self._sharing.stop()
            self._bus.stop(BUS_STOP_TIME)
            raise
        self._serves = True
        if self._following.directory is not None:  # it may have come meanwhile
            self._use_directory(self._following.directory)

    def _has_heard_all(self) -> bool:
        """Wait for all that there was at the start: a client may come that has heard it elsewhere.

        False if that takes more than BEGIN_TIME.
        """
        until = time.monotonic() + BEGIN_TIME
        if not self._following.wait(BEGIN_TIME):
            return False
        while any(self.lag().values()):
            if time.monotonic() > until:
                return False
            gevent.sleep(CATCH_UP_LOOK)
        return True

    def stop(self) -> None:
        """Close clients with 1001, and end."""
        super().stop()
        self._sharing.stop()
        self._bus.stop(BUS_STOP_TIME)

    def _use_directory(self, directory: Directory) -> None:
        """The collector has other servers than before, shows other things, or is another."""
        self._bus.reader.follow(self._following.streams())
        self._feeds.use(Showing(withheld=directory.withheld))
        self._access.use_key(directory.key)
        if self._serves:
            settings = self.settings
            policy = self._access.prepare(settings)
            self._access.use(policy, [host.id for host in settings.amihosts])
            self._clients.check_rights()
            self._api.use_rights()

    # -- of `metrics.OnBus` --------------------------------------------------------------

    process = EDGE

    @property
    def up(self) -> bool:
        """Whether a collector is heard."""
        return not self._following.reason

    @property
    def lost(self) -> int:
        """How often events were lost on the way."""
        return self._following.lost

    held: Mapping[str, int] = MappingProxyType({})
    refusals = dropped = waiting = 0
    """An edge holds no lease, and publishes nothing."""

    @property
    def unshared(self) -> int:
        """How often what edges share could not be asked."""
        return self._sharing.unshared

    def lag(self) -> Mapping[str, int]:
        """Entries that have not been taken, by stream."""
        return self._bus.reader.lag()

    def _on_bus(self) -> OnBus:
        return self

    def _readiness(self) -> Readiness:
        bus = {
            "process": self.process,
            "up": self.up,
            "reason": self._following.reason,
            "missing": {
                name: lease.reason
                for name, lease in self._following.leases.items()
                if not lease.held
            },
            "lag": max(self.lag().values(), default=0),
        }
        return Readiness(not self._stopping, tuple(self._servers_ready()), bus=bus)

    def _servers_ready(self) -> Iterator[dict[str, Any]]:
        """The servers as the collector sees them."""
        known = self._following.servers[PROXY_ID].store
        for server, info in self._following.infos.items():
            fields = known.get(SERVER, str(server)) or {}
            state = fields.get("connection") or "unknown"
            yield {
                "id": server,
                "name": info.name,
                "connected": state == CONNECTED,
                "state": state,
                "reason": fields.get("connection_reason") or "",
            }

    def _server_names(self) -> dict[int, str]:
        return {server: info.name for server, info in self._following.infos.items()}


def _bounds(limits: Limits) -> api.Bounds:
    """As much of each stream as edges keep of all."""
    return api.Bounds(limits.history_messages, limits.history_bytes, limits.history_time)


def server_of(
    settings: Settings,
    *,
    load: Callable[[], LoadResult] | None = None,
    log: LogControl | None = None,
    private_files: Sequence[Path] = (),
    whole: Whole | None = None,
) -> Server:
    """The process that the settings say; a reload makes no other of it.

    Arguments are those of `Server`.
    """
    kind = {BOTH: Server, COLLECTOR: Collector, EDGE: Edge}[settings.process]
    kept = None if load is None else partial(load_as_before, load, settings)
    return kind(settings, load=kept, log=log, private_files=private_files, whole=whole)


def load_as_before(load: Callable[[], LoadResult], before: Settings) -> LoadResult:
    """A configuration with the kind of process and the Redis that the process was started with."""
    result = load()
    kept = {"process": before.process, "redis": before.redis}
    warnings = [
        f"{key}: another one needs a restart; the one before stays in force"
        for key, value in kept.items()
        if getattr(result.settings, key) != value
    ]
    if not warnings:
        return result
    settings = result.settings.model_copy(update=kept)
    return replace(result, settings=settings, warnings=[*result.warnings, *warnings])
