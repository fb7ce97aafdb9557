"""A scripted AMI server on a loopback port, in plain threads (never gevent).

It speaks real AMI to whatever connects and does the wrong things on demand::

    with AmiServer(username="amiws", secret="s3cret") as server:
        start_the_program(port=server.port)
        server.wait_login()                       # somebody logged in
        server.send(b"Event: Test\\r\\n\\r\\n")       # to every logged-in connection
        server.wait_for(b"Action: CoreStatus")    # some connection sent these bytes

Every option may be changed on the running server too; a change is seen by the
next connection or the next action. What a connection does, in order:

1. TLS handshake, if ``tls`` (a server-side ``ssl.SSLContext``) is set;
2. ``banner`` goes out (None: none), cut into ``banner_pieces`` sends, with
   ``greeting`` (raw bytes) behind it in the same send;
3. actions are read and answered: `Challenge` and `Login` are checked against
   ``username`` and ``secret`` (plain, and MD5 when ``challenge`` is True), `Ping` and
   `Logoff` as Asterisk does, every other one by ``on_action``;
4. after a login was accepted ``replay`` (raw bytes) goes out, then ``then`` happens:
   ``"close"``, ``"reset"`` (a TCP RST) or ``"hang"`` (nothing is read or written any
   more); None goes on answering.

``login`` decides on logins: ``"check"``, ``"refuse"`` (as for a wrong secret), ``"ignore"``
(no answer ever), ``"close"`` (the connection ends instead of an answer) or ``"hang"``.
With ``multiple`` False a user who is logged in is not let in once more, as by Asterisk with
``allowmultiplelogin = no`` (but for the second that it takes to say so).
``before_answer`` (raw bytes) goes out ahead of a login's answer; ``login_answer`` (raw
bytes) replaces the answer to a login that is accepted.

For anything else pass ``script``: a function that is called with each new
`Connection` in that connection's own thread, after the TLS handshake, and that may
end with ``connection.serve()`` to go on as above.

The waits poll with ``sleep``: a test that runs gevent code in its own process
passes ``sleep=gevent.sleep``, so that the code under test goes on meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, Self

from tests.support.patience import WAIT
from tests.support.ports import hold

POLL = 0.02
"""Seconds after which a thread that waits for its socket looks whether it is to end."""

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
FULLY_BOOTED = b"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n"


class Packet(list[tuple[str, str]]):
    """An action as it came: its headers in order, looked up without regard to case."""

    def get(self, name: str, default: str = "") -> str:
        folded = name.casefold()
        return next((value for key, value in self if key.casefold() == folded), default)

    @property
    def action(self) -> str:
        return self.get("Action")


OnAction = Callable[["Connection", Packet], "bytes | None"]


def answer(packet: Packet, *lines: str, response: str = "Success") -> bytes:
    """A response in Asterisk's form: ``Response``, the action's ``ActionID``, then ``lines``."""
    head = [f"Response: {response}"]
    if packet.get("ActionID"):
        head.append(f"ActionID: {packet.get('ActionID')}")
    return ("\r\n".join([*head, *lines]) + "\r\n\r\n").encode()


def answer_success(connection: Connection, packet: Packet) -> bytes | None:
    """The ``on_action`` of a server whose answers do not matter: every action succeeds."""
    return answer(packet, f"Message: {packet.action} done")


class Connection:
    """One accepted connection. Its methods may be called from any thread."""

    def __init__(self, server: AmiServer, sock: socket.socket, peer: tuple[str, int]) -> None:
        self.server = server
        self.socket = sock
        self.peer = peer
        self.received = bytearray()
        """Every byte that came, in order."""
        self.packets: list[Packet] = []
        """Every whole action that came, in order."""
        self.logged_in = False
        self.ended = False
        """The peer closed, or this side did."""
        self.handshake_error: OSError | None = None
        self.challenge = f"{id(self) % 1_000_000_000:09d}"
        self._taken = 0  # bytes of `received` that were cut into packets
        self._hung = threading.Event()
        self._sending = threading.RLock()  # keeps the parts of one `send` together
        self._lock = threading.Lock()  # round each call on the socket: OpenSSL needs it
        sock.setblocking(False)

    def send(self, data: bytes) -> None:
        """Send all of ``data``, however slowly it is read; ends early when the peer has gone."""
        with self._sending:
            rest = memoryview(data)
            while rest and not self.ended:
                try:
                    with self._lock:
                        sent = self.socket.send(rest)
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    self._wait(select.POLLOUT)
                except OSError:
                    return
                else:
                    rest = rest[sent:]

    def send_pieces(self, data: bytes, pieces: int, pause: float = 0.01) -> None:
        """Send ``data`` in so many parts of its own, ``pause`` seconds apart."""
        size = max(1, -(-len(data) // pieces))
        for start in range(0, len(data), size):
            self.send(data[start : start + size])
            time.sleep(pause)

    def close(self) -> None:
        """End the connection in order (FIN), whatever its thread does."""
        with self._lock, contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._end()

    def reset(self) -> None:
        """End the connection with a TCP RST."""
        with self._lock, contextlib.suppress(OSError):
            no_linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            self.socket.close()
        self._end()

    def hang(self) -> None:
        """Stop reading and answering; the connection stays open until the server stops."""
        self._hung.set()

    @property
    def hung(self) -> bool:
        return self._hung.is_set()

    def read_packet(self) -> Packet | None:
        """The next whole action; None once the peer has closed or `hang` was called."""
        while (end := self.received.find(b"\r\n\r\n", self._taken)) < 0:
            if not self._read():
                return None
        lines = bytes(self.received[self._taken : end]).decode().split("\r\n")
        self._taken = end + 4
        packet = Packet()
        for line in lines:
            name, _, value = line.partition(":")
            packet.append((name, value.removeprefix(" ")))
        self.packets.append(packet)
        return packet

    def forget(self) -> bytes:
        """Drop the whole actions that were read so far; their bytes. For what takes long.

        To be called in the thread of this connection, or when it has ended.
        """
        data = bytes(self.received[: self._taken])
        del self.received[: self._taken]
        self._taken = 0
        self.packets.clear()
        return data

    def serve(self) -> None:
        """Greet, then answer actions until the connection ends (the default script)."""
        server = self.server
        if server.banner is not None:
            greeting = server.banner + server.greeting
            self.send_pieces(greeting, server.banner_pieces, pause=0.01)
        elif server.greeting:
            self.send(server.greeting)
        while (packet := self.read_packet()) is not None:
            handler = self._HANDLERS.get(packet.action.casefold(), Connection._other)
            handler(self, packet)

    def run(self) -> None:
        """The thread of this connection."""
        try:
            if self.server.tls is None or self._handshake(self.server.tls):
                self.server.script(self)
            while self.hung and not self.ended:
                time.sleep(POLL)
        finally:
            self._end()
            with self._lock:
                self.socket.close()

    def _handshake(self, context: ssl.SSLContext) -> bool:
        with self._lock:
            wrapped = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
            self.socket = wrapped
        while not self.ended:
            try:
                with self._lock:
                    wrapped.do_handshake()
                return True
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._wait(select.POLLIN)
            except OSError as error:
                self.handshake_error = error
                break
        return False

    def _read(self) -> bool:
        while not (self.hung or self.ended):
            try:
                with self._lock:
                    data = self.socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._wait(select.POLLIN)
                continue
            except OSError:
                data = b""
            if data:
                self.received += data
                return True
            self._end()
        return False

    def _wait(self, events: int) -> None:
        descriptor = self.socket.fileno()
        if descriptor >= 0:
            poll = select.poll()
            poll.register(descriptor, events)
            poll.poll(POLL * 1000)

    def _end(self) -> None:
        self.ended = True
        self.logged_in = False

    # -- actions ---------------------------------------------------------------------

    def _challenge(self, packet: Packet) -> None:
        if self.server.challenge and packet.get("AuthType").casefold() == "md5":
            self.send(answer(packet, f"Challenge: {self.challenge}"))
        else:
            message = "Message: Must specify AuthType"
            if not self.server.challenge:
                message = "Message: Invalid/unknown command: Challenge."
            self.send(answer(packet, message, response="Error"))

    def _login(self, packet: Packet) -> None:
        server = self.server
        self.send(server.before_answer)
        if server.login == "ignore":
            return
        if server.login in ("close", "hang"):
            self._then(server.login)
            return
        if not server.multiple and server.logins:
            self.send(answer(packet, "Message: Login Already In Use", response="Error"))
            self.close()
            return
        if server.login == "refuse" or not self._right(packet):
            self.send(answer(packet, "Message: Authentication failed", response="Error"))
            self.close()
            return
        accepted = server.login_answer or answer(packet, "Message: Authentication accepted")
        # in one send, as Asterisk's first events often arrive in one read with the answer
        with self._sending:  # whoever waited for the login sends behind its answer
            self.logged_in = True
            self.send(accepted + server.replay)
        self._then(server.then)

    def _right(self, packet: Packet) -> bool:
        if packet.get("Username") != self.server.username:
            return False
        secret = self.server.secret
        if packet.get("AuthType").casefold() != "md5":
            return packet.get("Secret") == secret
        key = hashlib.md5((self.challenge + secret).encode()).hexdigest()
        return hmac.compare_digest(packet.get("Key"), key)

    def _then(self, what: str | None) -> None:
        if what == "close":
            self.close()
        elif what == "reset":
            self.reset()
        elif what == "hang":
            self.hang()

    def _ping(self, packet: Packet) -> None:
        if self.server.pong:
            self.send(answer(packet, "Ping: Pong", f"Timestamp: {time.time():.6f}"))

    def _logoff(self, packet: Packet) -> None:
        self.send(answer(packet, "Message: Thanks for all the fish.", response="Goodbye"))
        self.close()

    def _other(self, packet: Packet) -> None:
        data = self.server.on_action(self, packet)
        if data is not None:
            self.send(data)

    _HANDLERS: ClassVar[dict[str, Callable[[Connection, Packet], None]]] = {
        "challenge": _challenge,
        "login": _login,
        "ping": _ping,
        "logoff": _logoff,
    }


class AmiServer:
    """The server; see the module's text for its options. Use it as a context manager."""

    def __init__(
        self,
        script: Callable[[Connection], None] = Connection.serve,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        username: str = "amiws",
        secret: str = "s3cret",
        banner: bytes | None = BANNER,
        banner_pieces: int = 1,
        greeting: bytes = b"",
        login: str = "check",
        multiple: bool = True,
        challenge: bool = True,
        before_answer: bytes = b"",
        login_answer: bytes = b"",
        replay: bytes = b"",
        then: str | None = None,
        pong: bool = True,
        on_action: OnAction = answer_success,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.script = script
        self.tls = tls
        self.host = host
        self.port = port
        """The port; with 0 the one that was free, kept over `kill` and `restart`."""
        self.username = username
        self.secret = secret
        self.banner = banner
        self.banner_pieces = banner_pieces
        self.greeting = greeting
        self.login = login
        self.multiple = multiple
        self.challenge = challenge
        self.before_answer = before_answer
        self.login_answer = login_answer
        self.replay = replay
        self.then = then
        self.pong = pong
        self.on_action = on_action
        self.connections: list[Connection] = []
        """Every connection since the start, the ended ones too, in order of arrival."""
        self._sleep = sleep
        self._listener: socket.socket | None = None
        self._place: socket.socket | None = None  # the port stays ours while nobody listens
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- life ------------------------------------------------------------------------

    def start(self) -> None:
        """Listen on ``host`` and ``port``; from now on connections are served."""
        if self._place is None:
            self._place = hold(self.host, self.port)
            self.port = self._place.getsockname()[1]
        self._listener = listener = hold(self.host, self.port)
        listener.listen(64)
        self._accepting = self._run(self._accept, listener)

    def refuse(self) -> None:
        """Stop listening: new connections are refused, those that stand go on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
            self._accepting.join(WAIT)
            listener.close()

    def kill(self) -> None:
        """End like a killed process: no listener, every connection reset."""
        self.refuse()
        for connection in self.connections:
            connection.reset()

    def restart(self) -> None:
        """Listen again on the same port after `refuse` or `kill`."""
        self.start()

    def stop(self) -> None:
        """End everything and wait for the threads; no descriptor is left open."""
        self.kill()
        for thread in self._threads:
            thread.join(WAIT)
            if thread.is_alive():
                raise AssertionError(f"a thread of the AMI server did not end: {thread.name}")
        if self._place is not None:
            self._place.close()
            self._place = None

    # -- traffic ---------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send raw bytes to every connection that is logged in."""
        for connection in self.connections:
            if connection.logged_in:
                connection.send(data)

    @property
    def received(self) -> bytes:
        """Every byte of every connection, in order of arrival of the connections."""
        return b"".join(bytes(connection.received) for connection in self.connections)

    @property
    def actions(self) -> list[Packet]:
        """Every whole action of every connection."""
        return [packet for connection in self.connections for packet in connection.packets]

    @property
    def logins(self) -> list[Connection]:
        """The connections that are logged in now."""
        return [connection for connection in self.connections if connection.logged_in]

    # -- waits -----------------------------------------------------------------------

    def wait_for(
        self,
        what: bytes | str | re.Pattern[bytes] | Callable[[AmiServer], object],
        timeout: float = WAIT,
    ) -> None:
        """Until bytes came, a pattern matches, an action of that name came, or a call is true.

        ``bytes`` and a pattern are looked for in `received`, a ``str`` is the name of
        an action; a function is called with this server. Raises AssertionError past
        ``timeout`` seconds, with what came instead.
        """
        deadline = time.monotonic() + timeout
        while not self._came(what):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {timeout:g} s: {what!r}; {len(self.connections)} connections, "
                    f"received {self.received[-2000:]!r}"
                )
            self._sleep(0.005)

    def wait_connections(self, count: int, timeout: float = WAIT) -> Connection:
        """Until ``count`` connections came since the start; the last of them."""
        self.wait_for(lambda server: len(server.connections) >= count, timeout)
        return self.connections[count - 1]

    def wait_login(self, timeout: float = WAIT) -> Connection:
        """Until a connection is logged in; the newest such."""
        self.wait_for(lambda server: server.logins, timeout)
        return self.logins[-1]

    def _came(
        self, what: bytes | str | re.Pattern[bytes] | Callable[[AmiServer], object]
    ) -> object:
        if isinstance(what, bytes):
            return what in self.received
        if isinstance(what, str):
            return any(packet.action.casefold() == what.casefold() for packet in self.actions)
        if isinstance(what, re.Pattern):
            return what.search(self.received)
        return what(self)

    # -- threads ---------------------------------------------------------------------

    def _run(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, peer = listener.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, accepted, peer[:2])
            self.connections.append(connection)
            self._run(connection.run)
