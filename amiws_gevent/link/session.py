"""One connection's life, from its socket to its end: login, keep-alive, messages."""

from __future__ import annotations

import logging
import os
import secrets
import ssl
from collections.abc import Callable, Iterable
from typing import NoReturn, Protocol

import gevent

from amiws_gevent.ami import (
    OWN_ACTION_ID,
    Kind,
    Message,
    Parser,
    encode_action,
    holding_time,
)
from amiws_gevent.ami.lists import list_form
from amiws_gevent.ami.login import logoff_action, ping_action
from amiws_gevent.config import AmiHost, Limits
from amiws_gevent.errors import AmiwsError, SendBufferFull
from amiws_gevent.link.holdup import Holdup
from amiws_gevent.link.login import Login, Stage
from amiws_gevent.link.pending import Pending, Taker
from amiws_gevent.link.tls import explain
from amiws_gevent.link.wire import Wire

HELD_BYTES = 8 * 1024 * 1024
HELD_MESSAGES = 10_000
"""Limits on what a server may send before it answers the login. Asterisk sends only its
banner; a server that sends more does not speak AMI or accepts no logins."""

_LAST_MESSAGES = 4  # searched for the reason why the server closed

_log = logging.getLogger("amiws_gevent.link")


class Ended(AmiwsError):
    """The connection is over; ``str()`` is the reason."""


class Refused(AmiwsError):
    """The server refused the login; ``str()`` is its answer."""


class Owner(Protocol):
    """Receives the news of a session, in the session's greenlet; methods must not raise."""

    def logged_in(self, banner: str) -> None: ...

    def received(self, messages: list[Message]) -> None: ...

    def lost(self, packets: int) -> None: ...


class _Once:
    """Takes the one message that answers a Ping or a Logoff; ignores that none comes."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell

    def take(self, message: Message, *, ends: bool) -> bool:
        self._tell(message)
        return False

    def over(self, reason: str) -> None:
        pass

    def lost(self, reason: str) -> None:
        pass


class Session:
    """Runs one connection; ``name`` is for the debug log, times are in seconds.

    Silence is measured by ``clock``, waits are gevent's.
    """

    def __init__(
        self,
        host: AmiHost,
        limits: Limits,
        wire: Wire,
        owner: Owner,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self.parser = Parser(
            encoding=host.ami_encoding, max_line=limits.ami_line, max_packet=limits.ami_packet
        )
        self.pending = Pending()
        """What the server has not yet answered; the owner fails it when the session is over."""
        self._host = host
        self._wire = wire
        self._owner = owner
        self._name = name
        self._clock = clock
        self._timer = gevent.get_hub().loop.timer(0.0)
        self._login: Login | None = Login(host)
        self._held: list[Message] = []
        self._held_bytes = 0
        self._heard = clock()
        self._pinged = 0.0  # when the last Ping went out; 0.0: never
        self._own = 0  # actions of the program's own that were sent
        self._holdup = Holdup()
        self._logging_off = False
        self._verdict = ""  # why this side ends the connection
        self._last: list[Message] = []
        self._lost = 0

    def run(self, deadline: float) -> NoReturn:
        """Log in until ``deadline`` (by the clock), then pass messages on until the end.

        Never returns: raises Ended, or Refused when the login was.
        """
        try:
            self._arm(deadline - self._clock())
            while data := self._wire.read():
                self._heard = self._clock()
                self._take(self.parser.receive_data(data), len(data))
            raise Ended(self._verdict or self._reason_of_close())
        except OSError as error:
            raise Ended(self._verdict or broken(error)) from error
        finally:
            self._timer.close()
            self.parser.receive_eof()
            self._log_notes()

    def configure(self, limits: Limits) -> None:
        """Apply other limits from now on."""
        self.parser.configure(max_line=limits.ami_line, max_packet=limits.ami_packet)
        self._wire.limit = limits.ami_send_buffer

    @property
    def pending_bytes(self) -> int:
        """Bytes that the server has not read yet."""
        return self._wire.pending_bytes

    def send(self, data: bytes, holding: float = 0.0) -> None:
        """Send a client's action; raises SendBufferFull or, when it broke just now, OSError.

        ``holding`` is what `ami.holding_time` says of it: for so many seconds more the
        server may be silent.
        """
        self._wire.write(data)
        if holding:
            self._ping_behind(holding)

    def ask(
        self, name: str, headers: Iterable[tuple[str, str]], taker: Taker, *, wait: bool = False
    ) -> None:
        """Send an action; its answer goes to ``taker`` alone. Raises as `send`.

        ``headers`` are all but the ActionID, which is given here. An action without a
        response has a Ping on both sides, which tell where its answer begins and ends.
        ``wait``: the event that tells later what became of it is part of the answer.
        """
        action_id = self._next_action_id()
        later = list_form(name).later if wait else ""
        if later:
            # All sessions get that event: also those of others like us, and our next one.
            action_id += f"-{secrets.token_hex(6)}"
        listed = tuple(headers)
        data = encode_action((*listed, ("ActionID", action_id)))
        if list_form(name).unanswered:
            before, after = self._next_action_id(), self._next_action_id()
            self._wire.write(ping_action(before) + data + ping_action(after))
            self.pending.add(before, "Ping")
            self.pending.add(action_id, name, taker)
            self.pending.add(after, "Ping")
            return
        self._wire.write(data)
        self.pending.add(action_id, name, taker, later=later)
        holding = holding_time(listed)
        if holding:
            self._ping_behind(holding)

    def log_off(self) -> None:
        """Ask the server to end the session; `run` ends with its answer."""
        if self._logging_off:
            return
        self._logging_off = True
        action_id = OWN_ACTION_ID + "logoff"
        self._write_own(logoff_action(action_id), action_id, "Logoff", self._goodbye)

    # -- reading ---------------------------------------------------------------------

    def _take(self, messages: list[Message], size: int) -> None:
        self._log_notes()
        if self._login is not None:
            messages = self._log_in(self._login, messages, size)
        messages = self.pending.receive(messages)
        if messages:
            self._last = messages[-_LAST_MESSAGES:]
            self._owner.received(messages)

    def _log_in(self, login: Login, messages: list[Message], size: int) -> list[Message]:
        """The messages to pass on: none before the login's answer, then all that came."""
        for index, message in enumerate(messages):
            challenged = login.stage is Stage.CHALLENGE
            answer = login.receive(message)
            if answer:
                self._wire.write(answer)
            if login.stage is Stage.REFUSED:
                self._owner.received([message])
                raise Refused(login.refusal)
            if not (challenged and login.stage is Stage.ANSWER):  # that was for the link alone
                self._held.append(message)
            if login.stage is Stage.ACCEPTED:
                return self._logged_in(messages[index + 1 :])
        self._held_bytes += size
        if self._held_bytes > HELD_BYTES or len(self._held) > HELD_MESSAGES:
            raise Ended(
                f"{self._held_bytes} bytes and {len(self._held)} messages came before the "
                f"{login.stage.value}"
            )
        return []

    def _logged_in(self, rest: list[Message]) -> list[Message]:
        held, self._held = self._held, []
        self._login = None
        self._arm(self._host.keepalive)
        self._owner.logged_in(_banner(held))
        return held + rest

    def _goodbye(self, response: Message) -> None:
        if (response.get("Response") or "").casefold() == "goodbye":
            self._end("logged off")

    def _log_notes(self) -> None:
        notes = self.parser.pop_notes()
        for note in notes:
            _log.debug("%s: %s", self._name, note)
        if notes:
            lost = self.parser.counters.dropped
            if lost > self._lost:
                self._owner.lost(lost - self._lost)
                self._lost = lost

    def _reason_of_close(self) -> str:
        if self._login is not None:
            return f"closed by the server before the {self._login.stage.value}"
        for message in self._last:
            if message.name.casefold() == "shutdown":
                return "the server shut down"
        return "closed by the server"

    # -- time ------------------------------------------------------------------------

    def _arm(self, seconds: float) -> None:
        self._timer.close()
        self._timer = gevent.get_hub().loop.timer(max(0.0, seconds))
        self._timer.start(self._on_time)

    def _on_time(self) -> None:
        """In the hub: nothing here may block."""
        if self._login is not None:
            waited_for = self._login.stage.value
            hint = ""
            if self._login.stage is Stage.GREETING:
                waited_for = "banner"
                hint = "" if self._host.ssl else " (is it a TLS port? see ssl)"
            self._end(f"no {waited_for} within {self._host.connect_timeout:g} s{hint}")
            return
        patience = self._host.keepalive
        now = self._clock()
        since = max(self._heard, self._holdup.until)  # from when on silence counts
        if now - since < patience:
            self._log_holdup(now)
            self._arm(min(patience, patience + since - now))
        elif self._pinged <= since:
            self._ping()
            self._arm(patience)
        else:
            self._end(f"no answer to Ping: the server sent nothing for {now - self._heard:.0f} s")

    def _log_holdup(self, now: float) -> None:
        left = self._holdup.until - now
        if left > 0 and now - self._heard >= self._host.keepalive and self._holdup.is_news():
            _log.info(
                "%s: the server sends nothing until an Originate without Async ends; "
                "the link waits up to %.0f s more for it",
                self._name,
                left,
            )

    def _ping_behind(self, holding: float) -> None:
        self._ping()
        self._holdup.began(self._own, holding, self._clock())

    def _ping(self) -> None:
        self._pinged = self._clock()
        action_id = self._next_action_id()
        number = self._own
        self._write_own(
            ping_action(action_id),
            action_id,
            "Ping",
            lambda _pong: self._holdup.answered(number, self._clock()),
        )

    def _next_action_id(self) -> str:
        self._own += 1
        return f"{OWN_ACTION_ID}{self._own}"

    def _write_own(
        self, data: bytes, action_id: str, name: str, tell: Callable[[Message], None]
    ) -> None:
        try:
            self._wire.write(data)
        except SendBufferFull:
            return  # the server does not read; the next timeout ends the session
        except OSError as error:
            self._end(broken(error))
        else:
            self.pending.add(action_id, name, _Once(tell))

    def _end(self, reason: str) -> None:
        self._verdict = self._verdict or reason
        self._wire.shutdown()


def broken(error: OSError) -> str:
    """Why a connection broke, in words."""
    if isinstance(error, ssl.SSLError):
        return explain(error)
    if isinstance(error, ConnectionResetError):
        return "reset by the server"
    return os.strerror(error.errno) if error.errno else str(error)


def _banner(held: list[Message]) -> str:
    first = held[0]
    if first.kind is not Kind.PROMPT:
        return "no banner"
    return f"{first.get('Product')}/{first.get('Version')}"
