"""Processes that share the work over a bus: a collector has the AMI links, edges have the clients.

Each is the program of `server` with some parts made otherwise. What it does not need is there and
idle, so that metrics say 0 of it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent

from amiws_gevent.access import Access
from amiws_gevent.audit.trail import Trail
from amiws_gevent.bus import api
from amiws_gevent.collector.answering import Answering, HeldLinks
from amiws_gevent.collector.publishing import Publishing
from amiws_gevent.config import Limits, LoadResult, Settings
from amiws_gevent.config.fields import BOTH, COLLECTOR, EDGE
from amiws_gevent.crossing.streams import Directory
from amiws_gevent.edge.actions import RemoteActions, RemoteDispatcher
from amiws_gevent.edge.facilities import EdgeFacilities
from amiws_gevent.edge.following import Following
from amiws_gevent.edge.trail import RemoteTrail
from amiws_gevent.errors import MissingLibraryError
from amiws_gevent.feeds.feeds import Feeds, Showing
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.live.proxy import CONNECTED, PROXY_ID
from amiws_gevent.metrics import OnBus
from amiws_gevent.plugins.facilities import Facilities
from amiws_gevent.reload import Configured, ServerParts
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.server import Server
from amiws_gevent.state.servers import SERVER
from amiws_gevent.web.monitor import Readiness, readiness

# Seconds
BEGIN_TIME = 5.0  # for an edge to hear of all that there is, before it listens
CATCH_UP_LOOK = 0.02
BUS_STOP_TIME = 1.0

EXIT_LOST = 75  # sysexits.h EX_TEMPFAIL: another collector has the lease; start this one again

_log = logging.getLogger("amiws_gevent.processes")

NO_LEASE_YET = "another collector has the lease, or Redis has not been reached yet"


class Held:
    """Parts that get their settings once this collector has the lease."""

    def __init__(self, *parts: Configured) -> None:
        self._parts = parts
        self._settings: Settings | None = None
        self._begun = False

    def configure(self, settings: Settings) -> None:
        """Of `reload.Configured`."""
        self._settings = settings
        if self._begun:
            self._configure(settings)

    def begin(self) -> None:
        """It has the lease."""
        self._begun = True
        if self._settings is not None:
            self._configure(self._settings)

    def _configure(self, settings: Settings) -> None:
        for part in self._parts:
            part.configure(settings)


class Collector(Server):
    """Has the links once it has the lease; of `bus.api.CollectorEvents`."""

    def _make_shared(self, settings: Settings) -> None:
        key = secrets.token_bytes(32)
        self._access = Access(key)
        self._publishing = Publishing(self._hub, self._live, Bounds.of(settings.limits), key)
        self._feeds = self._publishing
        self._live.on_change = self._hub.stir
        self._audit = self._trail(Trail())
        self._has_lease = False
        self._reason = NO_LEASE_YET
        self._bus = self._make_bus(settings)

    def _make_bus(self, settings: Settings) -> api.CollectorBus:
        assert settings.redis is not None
        made: api.CollectorBus = _redis_bus().make_collector(
            settings.redis, self, _bounds(settings.limits)
        )
        return made

    def _make_actions(self) -> None:
        self._make_actions_of(HeldLinks(self._pool.links, self._bus.holds))
        answering = Answering(self._actions, self._dispatcher, self._audit)
        self._bus.callee.serve(answering.methods)

    def _server_parts(self) -> ServerParts:
        self._held = Held(self._live, self._pool)
        return ServerParts(self._pipeline, [self._held])

    def _client_parts(self) -> None:
        return None

    def start(self) -> None:
        """Ask for the lease, and then begin to connect."""
        super().start()
        self._bus.start()

    def _start_clients(self) -> None:
        _log.info("collector: %d AMI servers", len(self.settings.amihosts))
        if self.settings.metrics_listen is None:
            _log.warning(
                "metrics_listen is not given: a collector has no other address for /metrics, "
                "/healthz and /readyz"
            )

    def stop(self) -> None:
        """Log off from servers, give the lease back, and end."""
        super().stop()
        self._bus.stop(BUS_STOP_TIME)

    def _readiness(self) -> Readiness:
        links = self._pool.links.values()
        bus = {
            "process": self.process,
            "up": self.up,
            "reason": self._reason,
            "term": self._bus.term,
        }
        return readiness(not self._stopping, links, audit=self._audit.state, bus=bus)

    # -- of `metrics.OnBus` --------------------------------------------------------------

    process = COLLECTOR
    url = None
    lost = 0

    @property
    def up(self) -> bool:
        """Whether edges are told."""
        return self._has_lease and not self._reason

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

    def on_gained(self, term: int) -> None:
        """Connect to the servers, and tell edges."""
        _log.info("this collector has the lease (term %d)", term)
        if self._has_lease:  # again, after a time without Redis
            return
        self._has_lease = True
        self._reason = ""
        self._publishing.writer = self._bus.writer
        self._held.begin()
        self._hub.stir()

    def on_lost(self, reason: str) -> None:
        """Another one is connected to the servers now: end, and begin as one that waits."""
        _log.critical("%s; the program ends, and is to be started again", reason)
        self._commands.put(lambda: EXIT_LOST)

    def on_connection(self, up: bool, reason: str) -> None:
        """Redis is there or not."""
        if up:
            self._reason = "" if self._has_lease else NO_LEASE_YET
            _log.info("Redis is there")
        else:
            self._reason = f"Redis cannot be reached: {reason}"
            _log.error("%s; edges are not told until it can", self._reason)


class Edge(Server):
    """Serves clients with what a collector tells."""

    def _make_shared(self, settings: Settings) -> None:
        self._access = Access()
        self._following = Following()
        self._following.on_change = self._hub.stir
        self._following.on_directory = self._use_directory
        self._feeds = Feeds(
            self._hub, self._following, Bounds.of(settings.limits), told_again=(PROXY_ID,)
        )
        self._following.feeds = self._feeds
        self._bus = self._make_bus(settings)
        self._audit = self._trail(RemoteTrail(self._bus.caller))
        self._serves = False

    def _make_bus(self, settings: Settings) -> api.EdgeBus:
        assert settings.redis is not None
        made: api.EdgeBus = _redis_bus().make_edge(
            settings.redis, self._following, _bounds(settings.limits)
        )
        return made

    def _facilities(self) -> Facilities:
        return EdgeFacilities(self._feeds)

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

    def start(self) -> None:
        """Hear of all that there is, and then listen; raises StartError with nothing left open."""
        self._bus.reader.follow(self._following.streams())
        self._bus.start()
        try:
            if not self._has_heard_all():
                reason = self._following.reason or "not all has come"
                _log.warning("clients are served before all is known: %s", reason)
            super().start()
        except BaseException:
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


def _redis_bus() -> ModuleType:
    """The module, which needs a library that no other process does."""
    try:
        from amiws_gevent.bus import redis_bus
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise MissingLibraryError(
            "a collector and an edge need the library redis: install amiws-gevent[redis]"
        ) from None
    return redis_bus


def _bounds(limits: Limits) -> api.Bounds:
    """As much of each stream as edges keep of all."""
    return api.Bounds(limits.history_messages, limits.history_bytes, limits.history_time)


def server_of(
    settings: Settings,
    *,
    load: Callable[[], LoadResult] | None = None,
    log: LogControl | None = None,
    pid_file: Path | None = None,
) -> Server:
    """The process that the settings say; a reload makes no other of it."""
    kind = {BOTH: Server, COLLECTOR: Collector, EDGE: Edge}[settings.process]
    kept = None if load is None else partial(_load_as_before, load, settings)
    return kind(settings, load=kept, log=log, pid_file=pid_file)


def _load_as_before(load: Callable[[], LoadResult], before: Settings) -> LoadResult:
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
