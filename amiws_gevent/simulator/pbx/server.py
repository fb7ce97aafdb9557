"""The simulated PBX on a loopback port, and its sessions: gevent's side of ``pbx``.

    pbx = SimulatedPbx(style="22", name="pbx-22")
    pbx.start()
    ... pbx.port ...
    pbx.stop()

One greenlet lets the simulation live and gives what it says to all; the connections have
their own, see ``serving.listener``.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Final

import gevent
import gevent.event

from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.simulator.pbx.answers import Answers
from amiws_gevent.simulator.pbx.company import Pace
from amiws_gevent.simulator.pbx.repertoire import EVERYDAY, Programme
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import StyleName, style_named
from amiws_gevent.simulator.serving.listener import Connection, Listener
from amiws_gevent.simulator.serving.requests import Request, encode, is_true, refuse, respond
from amiws_gevent.simulator.serving.session import BAD_FORMAT, NOT_ALLOWED, Account, Session

_log = logging.getLogger("amiws_gevent.simulator")

_BATCH: Final = 2000  # packets between two turns of the other greenlets
_SHORTEST_NAP: Final = 0.01  # seconds: what is due within one nap goes out together
_LONGEST_NAP: Final = 1.0
_LATENESS: Final = 1.0  # seconds the simulation may be behind before it lets them go
_GOODBYE: Final = 0.2  # seconds that clients have to take the news of a shutdown

_SHUTDOWN: Final = (
    "Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\n"
)
_CLASSES: Final = frozenset(
    {
        "system", "call", "log", "verbose", "command", "agent", "user", "config", "dtmf",
        "reporting", "cdr", "dialplan", "originate", "agi", "cc", "aoc", "test", "security",
        "message",
    }
)  # fmt: skip
_FALSE: Final = frozenset({"no", "false", "n", "f", "0", "off"})


class SimulatedPbx:
    """An AMI server whose PBX is simulated. Several clients may be connected at once.

    ``rate`` is new calls a second, 0 for none but those that clients originate; ``seed``
    makes a run repeatable, ``programme`` says which calls come. ``port`` 0 takes a free one:
    read ``port`` after ``start``.
    ``send_limit`` bounds what is kept for one client, in bytes; a client past it, or whose
    socket takes nothing for ``write_timeout`` seconds, is dropped, as Asterisk does.
    ``login_delay`` is how long a wrong login waits for its answer, in seconds.
    Raises ValueError for a rate that is negative or not finite, KeyError for a style that
    is none, and OSError from ``start`` if the port cannot be had.
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
        programme: Programme = EVERYDAY,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        send_limit: int = 16 << 20,
        write_timeout: float = 1.0,
        login_delay: float = 1.0,
    ) -> None:
        self.name = name
        self.dropped = 0
        """Clients dropped because they did not read."""
        self._clock = clock
        self.login_delay = login_delay
        self.account = Account(username, secret)
        self.random = random.Random(f"sessions {seed}")
        # It has been up for a while when the first client comes: calls are under way.
        now = clock()
        self._behind = 0.0
        self.simulation = Simulation(
            style_named(style),
            started=now - Pace.for_rate(rate).warm_up,
            seed=seed,
            rate=rate,
            programme=programme,
        )
        while self.simulation.now < now:
            self.simulation.advance(now, _BATCH)
        self.answers = Answers(self.simulation, name)
        self._listener = Listener(
            host,
            port,
            lambda connection: PbxSession(self, connection),
            limit=send_limit,
            patience=write_timeout,
            dropped=self._was_dropped,
        )
        self._life: gevent.Greenlet[[], None] | None = None
        self._wake = gevent.event.Event()

    @property
    def port(self) -> int:
        """The port it listens on; before ``start`` the one it was given."""
        return self._listener.port

    @property
    def clients(self) -> int:
        return len(self._listener.connections)

    def wait(self, stop: gevent.event.Event) -> bool:
        """Waits until ``stop`` is set; False if the simulation failed before that."""
        ended = gevent.event.Event()
        stop.rawlink(lambda _: ended.set())
        if self._life is not None:
            self._life.rawlink(lambda _: ended.set())
        ended.wait()
        return stop.is_set()

    def start(self) -> None:
        """Listens and lives. Raises OSError if the port cannot be had."""
        self._listener.start()
        self._life = gevent.spawn(self._live)
        style, host = self.simulation.style, self._listener.host
        _log.info("%s: Asterisk %s on %s:%d", self.name, style.name, host, self.port)

    def stop(self) -> None:
        """Tells the clients of the shutdown and closes everything; twice is nothing."""
        life, self._life = self._life, None
        if life is None:
            return
        life.kill()
        self.publish([_SHUTDOWN])
        self._listener.stop(_GOODBYE)

    # The simulation's life

    def _live(self) -> None:
        simulation = self.simulation
        while True:
            now = self._now()
            self.publish(simulation.advance(now, _BATCH))
            for connection in list(self._listener.connections):
                connection.session.resume()
            if simulation.now < now:
                # More than one batch was due. Sockets have their turn, then the rest: who
                # could not be sent to meanwhile would pass for one that does not read.
                yield_to_loop()
                continue
            due = simulation.next_due
            nap = _LONGEST_NAP if due is None else due - self._now()
            self._wake.clear()
            self._wake.wait(min(max(nap, _SHORTEST_NAP), _LONGEST_NAP))

    def catch_up(self) -> None:
        """Before an action: it meets the PBX as it is now, not as it was before the nap."""
        self.publish(self.simulation.advance(self._now(), _BATCH))

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

    def publish(self, packets: list[str]) -> None:
        if not packets:
            return
        everything: bytes | None = None
        for connection in list(self._listener.connections):
            wanted = connection.session.wanted(packets)
            if wanted is packets:
                if everything is None:
                    everything = encode("".join(packets))
                connection.offer(everything)
            elif wanted:
                connection.offer(encode("".join(wanted)))

    def after_action(self) -> None:
        """Tells what an action caused; what it set going may be due before the nap ends."""
        self.publish(self.simulation.drain())
        self._wake.set()

    def _was_dropped(self, connection: Connection[PbxSession], why: str) -> None:
        self.dropped += 1
        _log.warning("%s: closed %s: %s", self.name, connection, why)


class PbxSession(Session):
    """One client's session: its event mask, and what others hear of it."""

    def __init__(self, pbx: SimulatedPbx, connection: Connection[PbxSession]) -> None:
        self._pbx = pbx
        self._connection = connection
        self._since = pbx.simulation.now
        self._mask = _CLASSES
        self._id = f"0x7f{pbx.random.getrandbits(40):010x}"
        super().__init__(
            connection.say,
            banner=pbx.simulation.style.banner,
            account=pbx.account,
            challenge=str(pbx.random.randrange(10**8, 10**9)),
        )

    def now(self) -> float:
        return self._pbx.simulation.now

    def wanted(self, packets: list[str]) -> list[str]:
        """Those of the events that the session's mask lets through."""
        if not self.active:
            return []
        if self._mask is _CLASSES:
            return packets
        return [packet for packet in packets if _class_of(packet) in self._mask]

    def receive_data(self, data: bytes) -> None:
        self._pbx.catch_up()
        super().receive_data(data)

    def handle(self, request: Request) -> None:
        super().handle(request)
        self._pbx.after_action()

    def carry_out(self, request: Request) -> None:
        if request.get("Action").lower() == "events":
            self._choose_events(request)
        elif self._pbx.answers.knows(request):
            self._answer(request)
        else:
            super().carry_out(request)

    def _answer(self, request: Request) -> None:
        """An Originate without ``Async`` holds up the session until the call is decided."""
        self.busy = True

        def later(text: str) -> None:
            self.busy = False
            if not self.over:
                self.send(text)

        answer = self._pbx.answers.answer(request, later)
        if answer is not None:
            later(answer)

    # Login

    def accept(self, request: Request) -> None:
        events = request.get("Events")
        if events:
            self._set_mask(events)
        super().accept(request)
        if "system" in self._mask:
            self.send(self._fully_booted())
        account = f"AccountID: {self._pbx.account.username}\r\n"
        rest = f"{account}{self._ends()}UsingPassword: 0\r\n{self._begun()}"
        self._report("SuccessfulAuth", "Informational", rest)

    def on_fault(self, fault: str, request: Request) -> None:
        """A security event: all who are logged in hear of it."""
        asked = f"RequestType: Action: {request.get('Action') or 'NONE'}\r\n"
        if fault == BAD_FORMAT:
            name = self._pbx.account.username if self.authenticated else ""
            rest = f"{self._ends()}{asked}{self._begun()}AccountID: {name}\r\n"
        elif fault == NOT_ALLOWED:
            rest = f"AccountID: \r\n{self._ends()}{asked}{self._begun()}"
        else:
            rest = f"AccountID: {request.get('Username')}\r\n{self._ends()}{self._begun()}"
        self._report(fault, "Error", rest)
        if fault not in (BAD_FORMAT, NOT_ALLOWED):
            self._pbx.after_action()
            gevent.sleep(self._pbx.login_delay)

    def _fully_booted(self) -> str:
        times = ""
        if self._pbx.simulation.style.uptime_in_fully_booted:
            uptime = int(self._pbx.simulation.now - self._pbx.simulation.switch.started)
            times = f"Uptime: {uptime}\r\nLastReload: {uptime}\r\n"
        return f"Event: FullyBooted\r\nPrivilege: system,all\r\n{times}Status: Fully Booted\r\n\r\n"

    # Events

    def _choose_events(self, request: Request) -> None:
        known = self._set_mask(request.get("EventMask"))
        if known:
            state = "On" if self._mask else "Off"
            self.send(respond(request, "Success", tail=f"Events: {state}\r\n"))
        else:
            self.send(refuse(request, "Invalid event mask"))

    def _set_mask(self, text: str) -> bool:
        """False if the text says nothing; classes that do not exist are left out."""
        words = [word.strip() for word in text.lower().split(",") if word.strip()]
        if not words:
            return False
        if words == ["all"] or is_true(words[0]):
            self._mask = _CLASSES
        elif words[0] in _FALSE:
            self._mask = frozenset()
        else:
            self._mask = _CLASSES & frozenset(words)
        return True

    def _report(self, event: str, severity: str, rest: str) -> None:
        self._pbx.simulation.switch.out.append(
            f"Event: {event}\r\nPrivilege: security,all\r\nEventTV: {_stamp(self.now())}\r\n"
            f"Severity: {severity}\r\nService: AMI\r\nEventVersion: 1\r\n{rest}\r\n"
        )

    def _ends(self) -> str:
        return (
            f"SessionID: {self._id}\r\n"
            f"LocalAddress: {_address(self._connection.local)}\r\n"
            f"RemoteAddress: {_address(self._connection.remote)}\r\n"
        )

    def _begun(self) -> str:
        return f"SessionTV: {_stamp(self._since)}\r\n"


def _address(address: tuple[str, int]) -> str:
    host, port = address
    return f"IPV{6 if ':' in host else 4}/TCP/{host}/{port}"


def _class_of(packet: str) -> str:
    """The first class of the packet's Privilege, such as ``call``."""
    _, _, rest = packet.partition("\r\nPrivilege: ")
    return rest.partition(",")[0]


def _stamp(seconds: float) -> str:
    """``2026-11-22T17:55:36.407+0000``, as security events write times."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}+0000"
