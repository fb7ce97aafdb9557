"""Counts connections and decides which are accepted, and when; it has no listener itself.

Connections wait in the kernel's queue while they come faster than ``connection_rate`` or
than the CPU can serve: for a moment none is accepted. That brings two thousand clients back
sooner than refusing them. A connection is refused only if waiting would not help: there
are too many in all or from one address, or no descriptors are left.

Connections that have not yet sent a request (``handshakes``) must not keep others out.
Past the limit the oldest is evicted for the newest, once it has had ARRIVAL_TIME; until
then the newest waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

from gevent.event import Event
from gevent.hub import get_hub
from greenlet import greenlet

from amiws_gevent.config import Limits
from amiws_gevent.runtime.peers import is_this_machine, network_of
from amiws_gevent.web.pacing import Pacer
from amiws_gevent.web.websocket import WebSocketClient

BURST_TIME = 5.0  # seconds of `connection_rate` that may come at once
ARRIVAL_TIME = 2.0  # seconds that every connection has for its handshake and request head
MOST_WAITING = 64  # for the pacer; more wait in the kernel, which costs no memory here

_PAUSE = 0.02  # seconds: short for a client, and long enough to let several in afterwards
_BUSY_PAUSE = 0.005

# Why a connection is refused, or the next not accepted yet; labels of counters.
CONNECTIONS, ADDRESS, DESCRIPTORS = "connections", "connections_per_address", "descriptors"
HANDSHAKES, RATE, BUSY = "handshakes", "connection_rate", "busy"


class Request(Protocol):
    """An HTTP connection, as far as stopping the server needs it."""

    idle: bool

    def abort(self, reason: str) -> None: ...


class Evicted(ConnectionError):
    """Raised in the greenlet of a connection that is evicted."""


class Arrival:
    """A connection in its TLS handshake or request head, since ``since`` (on the clock).

    ``greenlet`` is the one that reads it; ``over`` is set at the end. While it is ``queued``
    it waits for the CPU, and ``since`` is moved by that time.
    """

    __slots__ = ("greenlet", "over", "queued", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.over = False
        self.queued = False
        self.greenlet: greenlet | None = None

    def evict(self) -> None:
        """Raise Evicted in the greenlet, unless it ends before."""
        get_hub().loop.run_callback(self._throw)

    def _throw(self) -> None:
        if not self.over and self.greenlet is not None:
            self.greenlet.throw(Evicted("evicted: limits.handshakes is reached"))


class Population:
    """All connections: ``total`` counts them from the accept on; the others hold them by state.

    ``tell`` is called with each new total.
    """

    def __init__(self, tell: Callable[[int], None] | None = None) -> None:
        self.total = 0
        self._tell = tell
        self.arriving: dict[Arrival, None] = {}  # the oldest first
        self.handshakes: set[greenlet] = set()
        self.requests: set[Request] = set()
        self.clients: set[WebSocketClient] = set()
        self._by_network: Counter[str] = Counter()
        self._empty = Event()

    def add(self, host: str) -> None:
        """Count a new connection."""
        self._add(1)
        self._by_network[network_of(host)] += 1

    def move(self, host: str, to: str) -> None:
        """Count a connection from ``host`` for another address."""
        self._by_network[network_of(to)] += 1
        self._forget(host)

    def remove(self, host: str) -> None:
        """Count a connection that has ended."""
        self._forget(host)
        self._add(-1)
        if not self.total:
            self._empty.set()

    def _add(self, number: int) -> None:
        self.total += number
        if self._tell is not None:
            self._tell(self.total)

    def _forget(self, host: str) -> None:
        network = network_of(host)
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]

    def connections_from(self, host: str) -> int:
        """How many connections there are from the network of ``host``."""
        return self._by_network[network_of(host)]

    def wait_until_empty(self, timeout: float) -> None:
        """Wait until there is no connection, at most ``timeout`` seconds."""
        if self.total:
            self._empty.clear()
            self._empty.wait(timeout)


class TokenBucket:
    """Limits the average rate; as many as BURST_TIME allows may come at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken = 0.0  # connections that the time since has not paid off
        self._since = clock()

    def wait(self, rate: float) -> float:
        """Seconds until the next may be accepted; 0: now."""
        now = self._clock()
        self._taken = max(0.0, self._taken - (now - self._since) * rate)
        self._since = now
        return max(0.0, self._taken + 1 - rate * BURST_TIME) / rate

    def take(self) -> None:
        """Count an accepted connection."""
        self._taken += 1


class Pause(NamedTuple):
    """How many seconds to accept nothing, and why."""

    seconds: float
    reason: str


class Admission:
    """Decides on each new connection; the limits are passed in, since a reload changes them."""

    def __init__(self, population: Population, pacer: Pacer, *, clock: Callable[[], float]) -> None:
        self._population = population
        self._pacer = pacer
        self._clock = clock
        self._bucket = TokenBucket(clock)

    def pause(self, limits: Limits) -> Pause | None:
        """How long to accept nothing, and why; None: accept now."""
        if self._pacer.waiting >= MOST_WAITING:
            return Pause(_BUSY_PAUSE, BUSY)
        if (seconds := self._bucket.wait(limits.connection_rate)) > 0:
            return Pause(max(seconds, _PAUSE), RATE)
        if len(self._population.arriving) >= limits.handshakes and not self._overdue():
            return Pause(_PAUSE, HANDSHAKES)
        return None

    def refusal(self, host: str, limits: Limits, *, proxy: bool = False) -> str | None:
        """Count a connection accepted from ``host``; why it is refused, or None.

        ``proxy``: it is a trusted one, whose connections are counted for its clients.
        """
        self._bucket.take()
        if self._population.total >= limits.connections:
            return CONNECTIONS
        return None if proxy or self._has_room(host, limits) else ADDRESS

    def move(self, host: str, to: str, limits: Limits | None = None) -> bool:
        """Count a connection from ``host`` for ``to``; False if that has too many by ``limits``."""
        if limits is not None and not self._has_room(to, limits):
            return False
        self._population.move(host, to)
        return True

    def _has_room(self, host: str, limits: Limits) -> bool:
        most = most_connections_from(host, limits)
        return most is None or self._population.connections_from(host) < most

    def arrives(self, limits: Limits) -> tuple[Arrival, int]:
        """Begin a handshake or request; returns its arrival and how many others were evicted."""
        arriving = self._population.arriving
        evicted = 0
        while len(arriving) >= limits.handshakes and (oldest := self._overdue()):
            del arriving[oldest]
            oldest.evict()
            evicted += 1
        arrival = Arrival(self._clock())
        arriving[arrival] = None
        return arrival, evicted

    def arrived(self, arrival: Arrival) -> None:
        """The request head has been read, or the connection is closed."""
        arrival.over = True
        self._population.arriving.pop(arrival, None)

    def wait_for_turn(self, arrival: Arrival) -> None:
        """Wait for the CPU; that time does not count against the client."""
        begun = self._clock()
        arrival.queued = True
        self._pacer.wait()
        arrival.queued = False
        arrival.since += self._clock() - begun

    def _overdue(self) -> Arrival | None:
        """The oldest connection that has used up ARRIVAL_TIME without a request."""
        latest = self._clock() - ARRIVAL_TIME
        arriving = self._population.arriving
        return next((one for one in arriving if one.since <= latest and not one.queued), None)


def most_connections_from(host: str, limits: Limits) -> int | None:
    """How many connections the network of ``host`` may have; None: any number.

    The default is half of ``connections``. This machine has no limit by default, since a
    proxy on it brings the clients of all addresses.
    """
    if limits.connections_per_address is not None:
        return limits.connections_per_address
    if is_this_machine(host):
        return None
    return max(1, limits.connections // 2)
