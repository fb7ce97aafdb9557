"""Which server is to be asked: one that is named, or the one that Sentinel or Cluster says.

Each connection looks anew, so after a fail-over all get to the new primary. Nothing is looked up
in the background.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import redis

from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.wire import FAST_CONNECT_TIME, Way, Wire, ask, explain
from amiws_gevent.config import CLUSTER, SENTINEL, Endpoint, Redis
from amiws_gevent.errors import AmiwsError

LOOK_TIME = 10.0
"""Seconds between two questions to a sentinel whether the primary is still the one."""

_MOST_MOVES = 5
_LOGIN = "username and password"
_LOGIN_OF_SENTINELS = "sentinel_username and sentinel_password"
"""Sentinels have keys of their own in the configuration, which reasons should name."""

_LONGEST_REASON = 1000


class NotFound(AmiwsError):
    """There is no server to ask now; ``str()`` says why."""


class Finder(Protocol):
    """Finds the server that has the data and takes what is new."""

    @property
    def fails_over(self) -> bool:
        """Whether a replica may take its place."""

    def found(self) -> Wire:
        """A connection to it, logged in. Raises NotFound, or what `explain` has words for."""

    def left(self) -> bool:
        """Whether it is to be found anew, although it answers. Looks now and then only."""


class One:
    """A server that is named."""

    fails_over = False

    def __init__(self, place: Endpoint | str, way: Way) -> None:
        self._place = place
        self._way = way

    def found(self) -> Wire:
        return self._way.open(self._place)

    def left(self) -> bool:
        return False


class BySentinel:
    """The primary, as any of several sentinels knows it (redis.io, "Sentinel client spec").

    The one that knew it last is asked first. One that is cut off from the sentinels goes on as
    if nothing had happened; so they are asked again.
    """

    fails_over = True

    def __init__(
        self,
        sentinels: tuple[Endpoint, ...],
        service: str,
        way: Way,
        to_sentinels: Way,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sentinels = list(sentinels)
        self._clock = clock
        self._looks_at = 0.0
        self._place: Endpoint | None = None
        self._service = service
        self._way = way
        self._to_sentinels = to_sentinels

    def found(self) -> Wire:
        problems: list[str] = []
        tried: dict[Endpoint, str] = {}
        for sentinel in list(self._sentinels):
            try:
                place = self._named(sentinel)
            except (redis.RedisError, OSError, NotFound) as error:
                why = _why(error).replace(_LOGIN, _LOGIN_OF_SENTINELS)
                problems.append(f"sentinel {sentinel}: {why}")
                continue
            if place in tried:
                continue
            try:
                wire = self._primary(place)
            except (redis.RedisError, OSError, NotFound) as error:
                tried[place] = f"{place}, which {sentinel} names: {_why(error)}"
                continue
            self._sentinels.remove(sentinel)
            self._sentinels.insert(0, sentinel)
            self._place, self._looks_at = place, self._clock() + LOOK_TIME
            return wire
        raise NotFound("; ".join([*tried.values(), *problems])[:_LONGEST_REASON])

    def left(self) -> bool:
        if self._clock() < self._looks_at:
            return False
        self._looks_at = self._clock() + LOOK_TIME
        try:
            return self._named(self._sentinels[0]) != self._place
        except (redis.RedisError, OSError, NotFound):
            self._sentinels.append(self._sentinels.pop(0))
            return False

    def _named(self, sentinel: Endpoint) -> Endpoint:
        wire = self._to_sentinels.open(sentinel)
        try:
            found = ask(wire, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
        finally:
            wire.disconnect()
        if found is None:
            raise NotFound(f"it knows no primary of the name {self._service}: look at url of redis")
        host, port = found
        return Endpoint(host.decode(), int(port))

    def _primary(self, place: Endpoint) -> Wire:
        """A sentinel may not have heard yet that it is none any more: so it is asked itself."""
        wire = self._way.open(place)
        try:
            if ask(wire, "ROLE")[0] != b"master":
                raise NotFound("it is a replica; the sentinels have not agreed on a new primary")
        except BaseException:
            wire.disconnect()
            raise
        return wire


class InCluster:
    """The node of a cluster that has the keys of a prefix, which are in one slot.

    Nodes are asked for one of them, until one does not name another. The one that had them
    last is asked first.
    """

    fails_over = True

    def __init__(self, nodes: tuple[Endpoint, ...], key: bytes, way: Way) -> None:
        self._nodes = nodes
        self._key = key
        self._way = way
        self._last: Endpoint | None = None

    def found(self) -> Wire:
        last, self._last = self._last, None
        problems: dict[Endpoint, str] = {}
        for node in dict.fromkeys((*([last] if last else []), *self._nodes)):
            if node not in problems:
                wire = self._followed(node, problems)
                if wire is not None:
                    return wire
        told = "; ".join(f"node {node}: {why}" for node, why in problems.items())
        raise NotFound(told[:_LONGEST_REASON])

    def left(self) -> bool:
        return False  # it says so itself

    def _followed(self, node: Endpoint, problems: dict[Endpoint, str]) -> Wire | None:
        """The connection to which a node leads; ``problems`` gets why there is none."""
        for _ in range(_MOST_MOVES):
            try:
                wire, moved = self._tried(node)
            except (redis.RedisError, OSError) as error:
                problems[node] = _why(error)
                return None
            if wire is not None:
                self._last = node
                return wire
            if moved in problems:
                problems[node] = f"it names {moved}"
                return None
            node = moved
        problems[node] = "the nodes do not agree which of them has the keys"
        return None

    def _tried(self, node: Endpoint) -> tuple[Wire | None, Endpoint]:
        """A connection to a node that has the keys; else the node that it names."""
        wire = self._way.open(node)
        try:
            ask(wire, "EXISTS", self._key)
        except redis.exceptions.MovedError as moved:
            wire.disconnect()
            return None, Endpoint(moved.host or node.host, moved.port)  # "": as that node
        except redis.exceptions.AskError:
            pass  # it has them still, and is about to give them away
        except BaseException:
            wire.disconnect()
            raise
        return wire, node


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, NotFound) else explain(error, FAST_CONNECT_TIME)


def finder_of(settings: Redis, name: str, patience: float) -> Finder:
    """How the server of these settings is found; ``name`` and ``patience`` as `Way` has them."""
    address, way = settings.url, Way.to_redis(settings, name, patience)
    if address.kind == SENTINEL:
        to_sentinels = Way.to_sentinels(settings, name)
        return BySentinel(address.hosts, address.service, way, to_sentinels)
    if address.kind == CLUSTER:
        return InCluster(address.hosts, Keys(settings.prefix).slot, way)
    return One(address.path or address.hosts[0], way)
