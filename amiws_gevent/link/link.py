"""The connection to one AMI server, kept up for as long as the program runs."""

from __future__ import annotations

import enum
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import NoReturn

import gevent

from amiws_gevent.ami import MOST_HEADERS, Counters, Message, Parser
from amiws_gevent.ami.actions import check_action_name
from amiws_gevent.config import AmiHost, Limits
from amiws_gevent.errors import NotConnected
from amiws_gevent.link.dial import DialFailed, Dialled, Dialler, endpoint
from amiws_gevent.link.pending import Pending
from amiws_gevent.link.query import MAX_BYTES, MAX_MESSAGES, Answer, Query
from amiws_gevent.link.report import Report
from amiws_gevent.link.session import Ended, Refused, Session, broken
from amiws_gevent.link.wire import Wire
from amiws_gevent.runtime.backoff import Backoff
from amiws_gevent.runtime.log import LogLimiter

_log = logging.getLogger("amiws_gevent.link")


class LinkState(enum.Enum):
    """
    CONNECTING ──► LOGGING_IN ──► CONNECTED
     ▲    │             │  │          │
     │    ▼             │  └──────┐   │
     │  WAITING ◄───────┼─────────┼───┘   the connection is lost or was not made
     ├────┘             ▼         ▼
     └────────────── REFUSED   STOPPED    (from every state, by `Link.stop`)
    """

    CONNECTING = "connecting"
    LOGGING_IN = "logging in"
    CONNECTED = "connected"
    WAITING = "waiting for the next attempt"
    REFUSED = "login refused"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Timings:
    """Seconds. After a refused login the waits are longer: each attempt may count towards a
    lock-out, and nothing changes until somebody acts."""

    retry_shortest: float = 1.0
    retry_longest: float = 60.0
    refused_shortest: float = 15.0  # doubled before the first wait: about 30 s
    refused_longest: float = 600.0
    stable: float = 10.0  # a connection that lasted this long begins the back-off anew
    down_warning: float = 15.0  # down for longer: an operator should act


Action = Mapping[str, str] | Iterable[tuple[str, str]]
OnMessages = Callable[["Link", list[Message]], None]
OnState = Callable[["Link", LinkState, str], None]


class Link:
    """One server's connection, in a greenlet of its own.

    ``on_messages`` gets all messages of one read, in order, in that greenlet; it must
    not block. ``on_state`` hears of each change of state with its reason. What they raise
    is logged, and the link goes on. ``clock`` gives seconds, ``random`` 0 to 1.
    """

    def __init__(
        self,
        host: AmiHost,
        limits: Limits,
        *,
        on_messages: OnMessages,
        on_state: OnState | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        timings: Timings = Timings(),
        dialler: Dialler | None = None,
    ) -> None:
        self.host = host
        self.state = LinkState.STOPPED
        self.reason = ""
        self.parser: Parser | None = None
        """The parser of the present or last connection."""
        self.logins = 0
        """Logins that were accepted: the first, and one for each reconnect."""
        self.failed_attempts = 0
        """Attempts to connect that failed, refused logins included."""
        self._limits = limits
        self._on_messages = on_messages
        self._on_state = on_state
        self._clock = clock
        self._timings = timings
        self._dialler = dialler or Dialler(host, clock)
        self._retry = Backoff(timings.retry_shortest, timings.retry_longest, random=random)
        self._retry_refused = Backoff(
            timings.refused_shortest, timings.refused_longest, spread=0.25, random=random
        )
        self._name = f"{host.name} ({endpoint(host.host, host.port)})"
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._stopping = False
        self._session: Session | None = None
        self._pending = Pending()
        self._asking = 0
        self._faults: Counter[str] = Counter()
        self._lost_packets = 0
        self._limiter = LogLimiter(clock=clock)
        self._report = Report(self._name, host, timings.down_warning, clock)
        self._since = 0.0  # when the login was accepted
        self._setback = ""  # why the last attempt or connection ended

    @property
    def connected(self) -> bool:
        """Logged in: `send` takes actions."""
        return self.state is LinkState.CONNECTED

    @property
    def pending_bytes(self) -> int:
        """Bytes of sent actions that the server has not read yet."""
        return self._session.pending_bytes if self._session else 0

    @property
    def under_way(self) -> int:
        """Greenlets that wait in `ask`."""
        return self._asking

    def faults(self) -> dict[str, int]:
        """How many faults there were in what the server sent, by the names of `ami.Counters`."""
        faults = Counter(self._faults)
        if self._session is not None:
            _add(faults, self._session.parser.counters)
        return dict(faults)

    def configure(self, limits: Limits) -> None:
        """Apply other limits to the present connection and to later ones."""
        self._limits = limits
        if self._session is not None:
            self._session.configure(limits)

    def start(self) -> None:
        """Begin to connect; nothing happens if the link runs already."""
        if self._greenlet is None:
            self._stopping = False
            self._greenlet = gevent.spawn(self._run)

    def stop(self, timeout: float = 1.0) -> None:
        """Log off, wait at most ``timeout`` seconds for the server's goodbye, close.

        With 0 nothing is sent any more.
        May be called in any state and more than once; from `on_messages` and `on_state`
        it only asks, since they run in the greenlet that is to end.
        """
        self._stopping = True
        greenlet = self._greenlet
        if greenlet is None or greenlet is gevent.getcurrent():
            return
        if timeout > 0 and self._session is not None and self.connected:
            self._session.log_off()
            greenlet.join(timeout)
        greenlet.kill()
        self._finish(greenlet)

    def send(self, data: bytes, *, holding: float = 0.0) -> None:
        """Send one whole encoded action; never blocks, keeps the order.

        ``holding`` is what `ami.holding_time` says of it: seconds in which the server may
        be silent because of it. Its answer is one of the messages that all get.

        Raises NotConnected, which says why, or SendBufferFull where the server takes
        actions so slowly that ``limits.ami_send_buffer`` bytes wait already.
        """
        with self._ready() as session:
            session.send(data, holding)

    def ask(
        self,
        action: Action,
        *,
        timeout: float,
        wait: bool = False,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """Send an action; its answer comes to who asks, and to no (other) client, plugin or log.

        ``action`` is its headers, the name among them; an ActionID in it is replaced. The
        calling greenlet waits for the whole answer, the items of a list included, up to
        ``timeout`` seconds. Past them, or with more than ``max_messages`` or ``max_bytes``,
        the `Answer` says that and has what came. A greenlet that is killed meanwhile leaves
        nothing behind; what comes later goes to nobody. Events that Asterisk sends to all
        sessions (`ami.BROADCASTS`) are news all the same. With ``wait`` the one that tells
        what became of the action (OriginateResponse) belongs to the answer as well, as its
        end; it makes no difference for actions that have none.

        Raises ActionError for what cannot be sent or would end the session, NotConnected
        and SendBufferFull as `send` does, and AnswerLost (a ConnectionLost) if the connection ends
        before the whole answer has come: what was asked may be done or not.
        """
        if gevent.getcurrent() is self._greenlet:
            raise RuntimeError("ask from a callback of the link, whose greenlet has to read")
        pairs = action.items() if isinstance(action, Mapping) else action
        headers = [(name, value) for name, value in pairs if name.lower() != "actionid"]
        called = check_action_name(headers)
        query = Query(called, max_messages=max_messages, max_bytes=max_bytes)
        with self._ready() as session:
            session.ask(called, headers, query, wait=wait)
        self._asking += 1
        try:
            return query.wait(timeout)
        finally:
            self._asking -= 1
            session.pending.cancel(query)

    @contextmanager
    def _ready(self) -> Iterator[Session]:
        """The session to send on; raises NotConnected, also for an OSError within."""
        if self._session is None or not self.connected:
            raise NotConnected(f"server {self.host.name} is not connected ({self._excuse()})")
        try:
            yield self._session
        except OSError as error:
            raise NotConnected(
                f"server {self.host.name} is not connected ({broken(error)})"
            ) from error

    # -- called by the session -------------------------------------------------------

    def logged_in(self, banner: str) -> None:
        """Of `session.Owner`: the server accepted the login."""
        self._since = self._clock()
        self._setback = ""
        self.logins += 1
        self._retry_refused.reset()
        self._report.connected(banner)
        self._change(LinkState.CONNECTED, banner)

    def received(self, messages: list[Message]) -> None:
        """Of `session.Owner`: whole messages came."""
        try:
            self._on_messages(self, messages)
        except Exception as error:  # noqa: BLE001 - whatever it is must not cost the connection
            self._complain("processing messages", error)
        if self._stopping and self._session is not None:
            self._session.log_off()

    def lost(self, packets: int) -> None:
        """Of `session.Owner`: ``packets`` packets were dropped because they exceeded a limit."""
        self._lost_packets += packets
        self._limiter.log(
            _log,
            logging.WARNING,
            "lost",
            "%s: packets dropped: larger than limits.ami_packet or limits.ami_line, or events "
            "with more than %d headers (%d so far)",
            self._name,
            MOST_HEADERS,
            self._lost_packets,
        )

    # -- the greenlet ----------------------------------------------------------------

    def _run(self) -> None:
        greenlet = gevent.getcurrent()
        try:
            while not self._stopping:
                delay = self._attempt()
                if not self._stopping:
                    gevent.sleep(delay)  # `stop` kills it
        finally:
            self._finish(greenlet)

    def _attempt(self) -> float:
        """Connect and serve until that ends; returns the seconds to wait then."""
        self._change(LinkState.CONNECTING, self._setback)
        deadline = self._clock() + self.host.connect_timeout
        try:
            dialled = self._dialler.dial(deadline)
            self._report.dialled(dialled, self._dialler.unverified)
            self._serve(dialled, deadline)
        except Refused as refused:
            return self._refused(str(refused))
        except DialFailed as failed:
            return self._failed(str(failed), failed.advice)
        except Ended as ended:
            return self._ended(str(ended))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the link
            self._complain("serving the connection", error)
            return self._ended(f"internal error: {type(error).__name__}")

    def _serve(self, dialled: Dialled, deadline: float) -> NoReturn:
        wire = Wire(dialled.sock, self._limits.ami_send_buffer)
        session = Session(self.host, self._limits, wire, self, name=self._name, clock=self._clock)
        self._session = session
        self._pending = session.pending
        self.parser = session.parser
        try:
            self._change(LinkState.LOGGING_IN, dialled.address)
            session.run(deadline)
        finally:
            self._session = None
            _add(self._faults, session.parser.counters)
            wire.close()

    def _ended(self, reason: str) -> float:
        self._pending.fail(self.host.name, reason)
        if not self.connected:
            return self._failed(reason)
        if self._stopping:
            return 0.0
        if self._clock() - self._since >= self._timings.stable:
            self._retry.reset()
        delay = self._retry.next()
        self._report.lost(reason, delay)
        self._set_back(LinkState.WAITING, reason)
        return delay

    def _failed(self, reason: str, advice: str = "") -> float:
        delay = self._retry.next()
        self.failed_attempts += 1
        self._report.failed(reason, advice, delay)
        self._set_back(LinkState.WAITING, reason)
        return delay

    def _refused(self, answer: str) -> float:
        delay = self._retry_refused.next()
        self.failed_attempts += 1
        self._report.refused(answer, delay)
        self._set_back(LinkState.REFUSED, answer)
        return delay

    def _set_back(self, state: LinkState, reason: str) -> None:
        self._setback = reason
        self._change(state, reason)

    def _finish(self, greenlet: object) -> None:
        if self._greenlet is greenlet:
            self._greenlet = None
            self._pending.fail(self.host.name, "closed by amiws-gevent")
            self._report.stopped()
            self._change(LinkState.STOPPED, "")

    def _change(self, state: LinkState, reason: str) -> None:
        self.state = state
        self.reason = reason
        if self._on_state is None:
            return
        try:
            self._on_state(self, state, reason)
        except Exception as error:  # noqa: BLE001 - as for messages
            self._complain("reporting the state", error)

    def _complain(self, doing: str, error: Exception) -> None:
        self._limiter.log(
            _log,
            logging.ERROR,
            doing,
            "%s: internal error while %s",
            self._name,
            doing,
            exc_info=error,
        )

    def _excuse(self) -> str:
        return f"{self.state.value}: {self.reason}" if self.reason else self.state.value


def _add(total: Counter[str], counters: Counters) -> None:
    for field in fields(counters):
        value = getattr(counters, field.name)
        if isinstance(value, int):
            total[field.name] += value
