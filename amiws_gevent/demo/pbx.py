"""The simulated PBX on a loopback port: gevent's side of ``demo``.

    pbx = SimulatedPbx(style="22", name="pbx-22")
    pbx.start()
    ... pbx.port ...
    pbx.stop()

Two kinds of greenlets: one lets the simulation live and gives what it says to all, and
each connection has a reader and a writer. Nothing a client does holds up another.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import gevent
import gevent.event
import gevent.server
import gevent.socket

from amiws_gevent.demo.answers import Answers
from amiws_gevent.demo.plan import Pace
from amiws_gevent.demo.session import Account, Peer, Session
from amiws_gevent.demo.simulation import Simulation
from amiws_gevent.demo.style import StyleName, style_named
from amiws_gevent.turns import give_way

_log = logging.getLogger("amiws_gevent.demo")

_BACKLOG: Final = 128
_READ_SIZE: Final = 65536
_WRITE_SIZE: Final = 262144
_BATCH: Final = 2000  # packets between two turns of the other greenlets
_SHORTEST_NAP: Final = 0.01  # seconds: what is due within one nap goes out together
_LONGEST_NAP: Final = 1.0
_LATENESS: Final = 1.0  # seconds the simulation may be behind before it lets them go

_SHUTDOWN: Final = (
    "Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\n"
)


class SimulatedPbx:
    """An AMI server whose PBX is simulated. Several clients may be connected at once.

    ``rate`` is new calls a second, 0 for none but those that clients originate; ``seed``
    makes a run repeatable. ``port`` 0 takes a free one: read ``port`` after ``start``.
    ``send_limit`` bounds what is kept for one client, in bytes; a client past it, or whose
    socket takes nothing for ``write_timeout`` seconds, is dropped, as Asterisk does.
    ``login_delay`` is how long a wrong login waits for its answer, in seconds.
    Raises ValueError for a rate that is negative or not finite, KeyError for a style that
    is none, and OSError (OverflowError for a port past 65535) from ``start`` if the port
    cannot be had.
    """

    def __init__(
        self,
        *,
        style: StyleName,
        name: str,
        username: str = "demo",
        secret: str = "demo",  # noqa: S107 - it guards nothing but a simulation
        seed: int = 1,
        rate: float = 0.5,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        send_limit: int = 16 << 20,
        write_timeout: float = 1.0,
        login_delay: float = 1.0,
    ) -> None:
        self.name = name
        self.host = host
        self._port = port
        self._clock = clock
        self._send_limit = send_limit
        self._write_timeout = write_timeout
        self._login_delay = login_delay
        self._account = Account(username, secret)
        self._random = random.Random(f"sessions {seed}")
        # It has been up for a while when the first client comes: calls are under way.
        now = clock()
        self._behind = 0.0
        self.simulation = Simulation(
            style_named(style), started=now - Pace.for_rate(rate).warm_up, seed=seed, rate=rate
        )
        while self.simulation.now < now:
            self.simulation.advance(now, _BATCH)
        self._answers = Answers(self.simulation, name)
        self._server: gevent.server.StreamServer | None = None
        self._life: gevent.Greenlet[[], None] | None = None
        self._connections: set[_Connection] = set()
        self._wake = gevent.event.Event()
        self.dropped = 0
        """Clients dropped because they did not read."""

    @property
    def port(self) -> int:
        """The port it listens on; before ``start`` the one it was given."""
        return self._port

    @property
    def clients(self) -> int:
        return len(self._connections)

    def wait(self, stop: gevent.event.Event) -> bool:
        """Waits until ``stop`` is set; False if the simulation died of a fault before that."""
        ended = gevent.event.Event()
        stop.rawlink(lambda _: ended.set())
        if self._life is not None:
            self._life.rawlink(lambda _: ended.set())
        ended.wait()
        return stop.is_set()

    def start(self) -> None:
        """Listens and lives. Raises OSError or OverflowError if the port cannot be had."""
        server = gevent.server.StreamServer(_listen(self.host, self._port), self._serve)
        server.start()
        self._server = server
        self._port = int(server.socket.getsockname()[1])
        self._life = gevent.spawn(self._live)
        style = self.simulation.style
        _log.info("%s: Asterisk %s on %s:%d", self.name, style.name, self.host, self.port)

    def stop(self) -> None:
        """Tells the clients of the shutdown and closes everything; twice is nothing."""
        server, self._server = self._server, None
        if server is None:
            return
        server.stop(timeout=0)
        if self._life is not None:
            self._life.kill()
        self._publish([_SHUTDOWN])
        for connection in list(self._connections):
            connection.finish(0.2)

    # The simulation's life

    def _live(self) -> None:
        simulation = self.simulation
        while True:
            now = self._now()
            self._publish(simulation.advance(now, _BATCH))
            for connection in list(self._connections):
                connection.session.resume()
            if simulation.now < now:
                # More than one batch was due. Sockets have their turn, then the rest: who
                # could not be sent to meanwhile would pass for one that does not read.
                give_way()
                continue
            due = simulation.next_due
            nap = _LONGEST_NAP if due is None else due - self._now()
            self._wake.clear()
            self._wake.wait(min(max(nap, _SHORTEST_NAP), _LONGEST_NAP))

    def _catch_up(self) -> None:
        """Before an action: it meets the PBX as it is now, not as it was before the nap."""
        self._publish(self.simulation.advance(self._now(), _BATCH))

    def _now(self) -> float:
        """The simulation's time. It slows down when it cannot keep up with the clock.

        A machine too slow for the rate, a sleep of the machine or a clock set anew would
        else bring hours of calls in one burst, or none for hours.
        """
        now = self._clock() - self._behind
        late = now - self.simulation.now
        if late > _LATENESS + _LONGEST_NAP or late < -_LATENESS:
            self._behind += late
            now = self.simulation.now
        return now

    def _publish(self, packets: list[str]) -> None:
        if not packets:
            return
        everything: bytes | None = None
        for connection in list(self._connections):
            wanted = connection.session.wanted(packets)
            if wanted is packets:
                if everything is None:
                    everything = _encode("".join(packets))
                connection.offer(everything)
            elif wanted:
                connection.offer(_encode("".join(wanted)))

    def _after_action(self, packets: list[str]) -> None:
        """What an action caused; what it set going may be due before the nap ends."""
        self._publish(packets)
        self._wake.set()

    # Connections

    def _serve(self, sock: gevent.socket.socket, address: tuple[str, int]) -> None:
        connection = _Connection(sock, address, self._send_limit, self._write_timeout)
        connection.session = Session(
            self.simulation,
            self._answers,
            self._account,
            Peer(sock.getsockname()[:2], address[:2]),
            challenge=str(self._random.randrange(10**8, 10**9)),
            session_id=f"0x7f{self._random.getrandbits(40):010x}",
            send=lambda text: connection.offer(_encode(text)),
            publish=self._after_action,
            refused=lambda: gevent.sleep(self._login_delay),
        )
        self._connections.add(connection)
        try:
            connection.read_all(before=self._catch_up)
        finally:
            self._connections.discard(connection)
            connection.finish(self._write_timeout)
            self.dropped += connection.too_slow


class _Connection:
    """A client's socket: a reader (the greenlet that serves it) and a writer."""

    session: Session

    def __init__(
        self,
        sock: gevent.socket.socket,
        address: tuple[str, int],
        limit: int,
        write_timeout: float,
    ) -> None:
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        self._sock = sock
        self._address = address[:2]
        self._limit = limit
        self._write_timeout = write_timeout
        self._chunks: deque[bytes] = deque()
        self._pending = 0
        self._ready = gevent.event.Event()
        self._finishing = False
        self._writer = gevent.spawn(self._write_all)
        self.too_slow = False

    def offer(self, data: bytes) -> None:
        """Queues bytes; never blocks. Past the limit the client is dropped."""
        if self._finishing:
            return
        if self._pending + len(data) > self._limit:
            self._drop()
            return
        self._chunks.append(data)
        self._pending += len(data)
        self._ready.set()

    def read_all(self, before: Callable[[], None]) -> None:
        """Feeds the session until it is over or the client is gone; ``before`` it is fed."""
        while not self.session.over:
            try:
                data = self._sock.recv(_READ_SIZE)
            except OSError:
                return
            if not data:
                return
            before()
            self.session.receive_data(data)

    def finish(self, patience: float) -> None:
        """Sends what is queued if that takes no longer than ``patience`` seconds, and closes."""
        if not self._finishing:
            self._finishing = True
            self._ready.set()
            self._writer.join(patience)
        self._writer.kill(block=False)
        self._sock.close()

    def _drop(self) -> None:
        """The reader wakes up at the end of the stream and closes."""
        self.too_slow = True
        self._finishing = True
        self._chunks.clear()
        self.session.over = True
        _log.warning("%s:%d does not read and is dropped", *self._address)
        try:
            self._sock.shutdown(gevent.socket.SHUT_RDWR)
        except OSError:
            _log.debug("the dropped client was gone already")

    def _write_all(self) -> None:
        while True:
            while not self._chunks:
                if self._finishing:
                    return
                self._ready.clear()
                self._ready.wait()
            if not self._write(self._take()):
                return

    def _take(self) -> bytes:
        """What goes out in one write: the chunks up to a size, joined."""
        size = 0
        taken = []
        while self._chunks and size < _WRITE_SIZE:
            taken.append(self._chunks.popleft())
            size += len(taken[-1])
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _write(self, data: bytes) -> bool:
        """Sends all of it; False if the client is gone or takes nothing for too long."""
        view = memoryview(data)
        while view:
            try:
                sent = gevent.with_timeout(
                    self._write_timeout, self._sock.send, view, timeout_value=0
                )
            except OSError:
                return False
            if not sent:
                self._drop()
                return False
            self._pending -= sent
            view = view[sent:]
        return True


def _listen(host: str, port: int) -> gevent.socket.socket:
    """A listening socket. gevent's own way leaves it open when the port is in use."""
    family = gevent.socket.AF_INET6 if ":" in host else gevent.socket.AF_INET
    sock = gevent.socket.socket(family)
    try:
        sock.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except (OSError, OverflowError):
        sock.close()
        raise
    return sock


def _encode(text: str) -> bytes:
    """What a client sent in another encoding is echoed as it came."""
    return text.encode("utf-8", "surrogateescape")
