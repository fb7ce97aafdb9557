"""The AMI server that clients of a replay talk to.

It greets, takes logins (plain and MD5), and sends what the player gives it to
everybody who is logged in. Of actions it knows those of a session: Challenge,
Login, Logoff, Ping and Events; any other one is answered with an error, since
nothing is carried out. A client that takes nothing for half a minute is
dropped; one that is slower than the recording slows the replay down.
"""

from __future__ import annotations

import contextlib
import hmac
import random
import time
from collections import deque
from collections.abc import Callable

import gevent
from gevent import socket as gsocket
from gevent.event import Event
from gevent.server import StreamServer

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.ami.login import challenge_key
from amiws_gevent.simulator.replay.opening import Opening

PENDING_BYTES = 1024 * 1024
"""What may wait for the slowest client before the player does."""

PATIENCE = 30.0
"""Seconds after which a client that takes nothing is dropped."""

_ACTION_BYTES = 64 * 1024  # Asterisk takes 128 lines of 1,024 bytes; nobody sends that


class ReplayServer:
    """Listens on ``host`` and ``port`` (0: a free one); takes any login without a ``username``.

    ``tell`` gets a line for each client that comes or goes.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        username: str | None = None,
        secret: str | None = None,
        tell: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> None:
        self.username = username
        self.secret = secret
        self.tell = tell
        self.patience = patience
        self.opening = Opening()
        self._sessions: set[Session] = set()
        self._changed = Event()
        self._address = (host, port)
        self._listener: StreamServer | None = None

    def start(self) -> None:
        """Listen; raises OSError."""
        self._listener = StreamServer(_listening(*self._address), self._serve)
        self._listener.start()

    def stop(self) -> None:
        """Close everything at once."""
        if self._listener is not None:
            self._listener.stop(timeout=0)
        for session in list(self._sessions):
            session.abort()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._listener is not None
        port = self._listener.server_port
        assert port is not None
        return port

    @property
    def clients(self) -> int:
        """How many are logged in."""
        return len(self._logged_in())

    def open(self, opening: Opening) -> bool:
        """Begin a session: send everybody away, once all is sent. True if anybody was logged in."""
        self.opening = opening
        before = list(self._sessions)
        were_there = bool(self._logged_in())
        for session in before:
            session.finish()
        self._wait_until(lambda: self._sessions.isdisjoint(before))
        return were_there

    def broadcast(self, data: bytes) -> None:
        """Send whole packets to all that are logged in; waits while one has too much to take."""
        for session in self._logged_in():
            session.offer(data)
        self._wait_until(lambda: self._most_pending() <= PENDING_BYTES)

    def wait_for_client(self) -> None:
        """Return once somebody is logged in."""
        if not self._logged_in():
            self.tell("waiting for a client to log in")
        self._wait_until(lambda: bool(self._logged_in()))

    def wait_until_sent(self) -> None:
        """Return once all clients have taken all."""
        self._wait_until(lambda: self._most_pending() == 0)

    def changed(self) -> None:
        """Of sessions: something that waits may depend on has changed."""
        self._changed.set()

    def first_words(self) -> bytes:
        """What the first client that logs in gets before its answer; nothing for later ones."""
        early, self.opening = self.opening.early, self.opening._replace(early=b"")
        return early

    def _logged_in(self) -> list[Session]:
        return [session for session in self._sessions if session.logged_in]

    def _most_pending(self) -> int:
        return max((session.pending_bytes for session in self._logged_in()), default=0)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            self._changed.wait()

    def _serve(self, sock: gsocket.socket, address: tuple[str, int]) -> None:
        session = Session(self, sock, f"{address[0]}:{address[1]}")
        self._sessions.add(session)
        try:
            session.run()
        finally:
            self._sessions.discard(session)
            self.changed()


def _listening(host: str, port: int) -> gsocket.socket:
    """A listening socket; gevent's own way leaves one open that cannot be bound."""
    (family, kind, protocol, _, address), *_ = gsocket.getaddrinfo(
        host, port, type=gsocket.SOCK_STREAM, flags=gsocket.AI_PASSIVE
    )
    listener = gsocket.socket(family, kind, protocol)
    try:
        listener.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(16)
    except BaseException:
        listener.close()
        raise
    return listener


class Session:
    """One client. ``logged_in`` is False again once it is to go."""

    def __init__(self, server: ReplayServer, sock: gsocket.socket, peer: str) -> None:
        self.logged_in = False
        self.pending_bytes = 0
        self._server = server
        self._socket = sock
        self._peer = peer
        self._pending: deque[bytes] = deque()
        self._wake = Event()
        self._finishing = False
        self._challenge = ""
        self._parser = Parser(max_packet=_ACTION_BYTES)

    def run(self) -> None:
        """Serve the client until one of both sides ends it."""
        self._socket.settimeout(self._server.patience)
        self.offer(self._server.opening.banner)
        writer = gevent.spawn(self._write)
        try:
            while (data := self._read()) is not None:
                for message in self._parser.receive_data(data):
                    self._act(message)
        finally:
            if self.logged_in:
                self._server.tell(f"{self._peer} has gone")
            self.logged_in = False
            writer.kill()
            self._socket.close()

    def offer(self, data: bytes) -> None:
        """Send ``data`` after what waits already; never blocks."""
        if data and not self._finishing:
            self._pending.append(data)
            self.pending_bytes += len(data)
            self._wake.set()

    def finish(self) -> None:
        """Close once all is sent."""
        self.logged_in = False
        self._finishing = True
        self._wake.set()

    def abort(self) -> None:
        """End the connection, whatever is left to send."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(gsocket.SHUT_RDWR)

    def _read(self) -> bytes | None:
        """The next bytes; None at the end."""
        while True:
            try:
                return self._socket.recv(65536) or None
            except TimeoutError:
                if self._finishing:  # it has got everything and does not close
                    return None
            except OSError:
                return None

    def _write(self) -> None:
        try:
            while self._pending or not self._finishing:
                if not self._pending:
                    self._wake.clear()
                    self._wake.wait()
                    continue
                data = self._pending.popleft()
                self._socket.sendall(data)
                self.pending_bytes -= len(data)
                self._server.changed()
            # Not closed: what the client has sent meanwhile would make that a reset,
            # and cost it what it has not read yet. It closes when it sees the end.
            self._socket.shutdown(gsocket.SHUT_WR)
        except OSError as error:
            if isinstance(error, TimeoutError):
                seconds = self._server.patience
                self._server.tell(f"{self._peer} is dropped: it took nothing for {seconds:g} s")
            self.abort()

    # -- actions ---------------------------------------------------------------------

    def _act(self, message: Message) -> None:
        if message.kind is not Kind.ACTION:
            self._answer(message, "Error", "Message: Missing action in request")
            return
        name = (message.get("Action") or "").strip().casefold()
        if name == "login":
            self._log_in(message)
        elif name == "challenge":
            self._challenge = str(random.randrange(10**8, 10**9))
            self._answer(message, "Success", f"Challenge: {self._challenge}")
        elif not self.logged_in:
            self._answer(message, "Error", "Message: Permission denied")
        elif name == "ping":
            self._answer(message, "Success", "Ping: Pong", f"Timestamp: {time.time():.6f}")
        elif name == "events":
            self._answer(message, "Success", "Events: On")
        elif name == "logoff":
            self._answer(message, "Goodbye", "Message: Thanks for all the fish.")
            self.finish()
            self._server.tell(f"{self._peer} has logged off")
        else:
            self._answer(message, "Error", "Message: This is a replay: nothing is carried out")

    def _log_in(self, message: Message) -> None:
        if not self._is_right(message):
            self._answer(message, "Error", "Message: Authentication failed")
            self._server.tell(f"{self._peer} is refused: a wrong user or secret")
            self.finish()
            return
        self.offer(self._server.first_words())
        self.offer(with_action_id(self._server.opening.accepted, message.get("ActionID")))
        if not self.logged_in:
            self._server.tell(f"{self._peer} has logged in")
        self.logged_in = True
        self._server.changed()

    def _is_right(self, message: Message) -> bool:
        if self._server.username is None:
            return True
        given, wanted = message.get("Secret") or "", self._server.secret or ""
        if (message.get("AuthType") or "").casefold() == "md5":
            given, wanted = message.get("Key") or "", challenge_key(self._challenge, wanted)
            if not self._challenge:
                return False
        known = message.get("Username") == self._server.username
        return hmac.compare_digest(given.encode(), wanted.encode()) and known

    def _answer(self, message: Message, response: str, *lines: str) -> None:
        text = "\r\n".join((f"Response: {response}", *lines)) + "\r\n\r\n"
        self.offer(with_action_id(text.encode(), message.get("ActionID")))


def with_action_id(answer: bytes, action_id: str | None) -> bytes:
    """An answer with the client's own ActionID in its second line; as it is without one."""
    if action_id is None:
        return answer
    first, *others = answer.split(b"\r\n")
    kept = [line for line in others if not line.lower().startswith(b"actionid:")]
    return b"\r\n".join([first, f"ActionID: {action_id}".encode(), *kept])
