"""The AMI server that clients of a replay talk to.

It takes logins and sends what the player gives it to everybody who is logged in.
Any action but those of a session is answered with an error, since nothing is
carried out. A client that takes nothing for half a minute is dropped; one that
is slower than the recording slows the replay down.
"""

from __future__ import annotations

from collections.abc import Callable

from gevent.event import Event

from amiws_gevent.simulator.replay.recording import Opening
from amiws_gevent.simulator.serving.listener import Connection, Listener
from amiws_gevent.simulator.serving.requests import Request, decode, id_line, refuse, respond
from amiws_gevent.simulator.serving.session import BAD_FORMAT, NOT_ALLOWED, Account, Session

PENDING_BYTES = 1024 * 1024
"""What may wait for the slowest client before the player does."""

PATIENCE = 30.0
"""Seconds after which a client that takes nothing is dropped."""

# Beyond what the player waits for and one packet of a capture, only answers can pile up.
_LIMIT = 64 * 1024 * 1024


class ReplayServer:
    """Listens on ``host`` and ``port`` (0: a free one); takes any login without an ``account``.

    ``tell`` gets a line for each client that comes or goes.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        account: Account | None = None,
        tell: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> None:
        self.account = account
        self.tell = tell
        self.opening = Opening()
        self._changed = Event()
        self._listener = Listener(
            host,
            port,
            lambda connection: ReplaySession(self, connection),
            limit=_LIMIT,
            patience=patience,
            dropped=lambda connection, why: tell(f"{connection} is dropped: {why}"),
            changed=self.changed,
        )

    def start(self) -> None:
        """Listen; raises OSError."""
        self._listener.start()

    def stop(self) -> None:
        """Close everything at once."""
        self._listener.stop()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._listener.port

    @property
    def clients(self) -> int:
        """How many are logged in."""
        return len(self._listener.active)

    def open(self, opening: Opening) -> bool:
        """Begin a session: send everybody away, once all is sent. True if anybody was logged in."""
        self.opening = opening
        before = list(self._listener.connections)
        were_there = bool(self.clients)
        for connection in before:
            connection.finish()
        self._wait_until(lambda: self._listener.connections.isdisjoint(before))
        return were_there

    def broadcast(self, data: bytes) -> None:
        """Send whole packets to all that are logged in; waits while one has too much to take."""
        for connection in self._listener.active:
            connection.offer(data)
        self._wait_until(lambda: self._most_pending() <= PENDING_BYTES)

    def wait_for_client(self) -> None:
        """Return once somebody is logged in."""
        if not self.clients:
            self.tell("waiting for a client to log in")
        self._wait_until(lambda: bool(self.clients))

    def wait_until_sent(self) -> None:
        """Return once all clients have taken all."""
        self._wait_until(lambda: self._most_pending() == 0)

    def changed(self) -> None:
        """Something that waits may depend on has changed."""
        self._changed.set()

    def first_words(self) -> bytes:
        """What the first client that logs in gets before its answer; nothing for later ones."""
        early, self.opening = self.opening.early, self.opening._replace(early=b"")
        return early

    def _most_pending(self) -> int:
        return max((each.pending_bytes for each in self._listener.active), default=0)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            self._changed.wait()


class ReplaySession(Session):
    """One client."""

    def __init__(self, server: ReplayServer, connection: Connection[ReplaySession]) -> None:
        self._server = server
        self._peer = str(connection)
        super().__init__(
            connection.say, banner=decode(server.opening.banner), account=server.account
        )

    def accept(self, request: Request) -> None:
        self.send(decode(self._server.first_words()))
        self.send(with_action_id(decode(self._server.opening.accepted), request))
        self._server.tell(f"{self._peer} has logged in")
        self._server.changed()

    def carry_out(self, request: Request) -> None:
        if request.get("Action").lower() == "events":
            self.send(respond(request, "Success", tail="Events: On\r\n"))
        else:
            self.send(refuse(request, "This is a replay: nothing is carried out"))

    def on_fault(self, fault: str, request: Request) -> None:
        if fault not in (BAD_FORMAT, NOT_ALLOWED):
            self._server.tell(f"{self._peer} is refused: wrong user or secret")

    def on_logoff(self) -> None:
        self._server.tell(f"{self._peer} has logged off")

    def on_gone(self) -> None:
        if self.authenticated:
            self._server.tell(f"{self._peer} has gone")


def with_action_id(answer: str, request: Request) -> str:
    """A recorded answer with the client's own ActionID in its second line, if it has one."""
    if not request.get("ActionID"):
        return answer
    first, *others = answer.split("\r\n")
    kept = [line for line in others if not line.lower().startswith("actionid:")]
    return f"{first}\r\n{id_line(request)}" + "\r\n".join(kept)
