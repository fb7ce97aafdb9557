"""AMI servers that number their events, and know what they sent on each connection."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time

from tests.support.ami_server import BANNER, AmiServer, Connection

LOGIN_ANSWER = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"


class NumberedServer:
    """Sends ``rate`` events a second, in bursts, each with connection and number.

    ``sent`` has the count of each connection so far; a restart ends the
    connection in order, so that all that was sent arrives.
    """

    def __init__(self, ident: int, rate: int, rng: random.Random) -> None:
        self.ident = ident
        self.sent: list[int] = []
        self._rate = rate
        self._rng = rng
        self._restart = threading.Event()
        self._stop = threading.Event()
        self.quiet = threading.Event()
        self.ami = AmiServer(self._script)

    def restart(self) -> None:
        """End the present connection; the program is to come back by itself."""
        self._restart.set()

    def stop(self) -> None:
        self._stop.set()
        self.ami.stop()

    @property
    def logged_in(self) -> bool:
        return any(connection.logged_in for connection in self.ami.connections)

    def _script(self, connection: Connection) -> None:
        connection.send(BANNER)
        if connection.read_packet() is None:
            return
        connection.send(LOGIN_ANSWER)
        connection.logged_in = True
        self._restart.clear()
        self.sent.append(0)
        number = len(self.sent) - 1
        while not self._restart.is_set() and not self._stop.is_set():
            if not self.quiet.is_set():
                self._burst(connection, number)
            self._answer(connection)
            time.sleep(0.02)
        connection.logged_in = False
        with contextlib.suppress(OSError):
            connection.socket.shutdown(socket.SHUT_WR)
            connection.socket.settimeout(5.0)
            while connection.socket.recv(65536):
                pass

    def _burst(self, connection: Connection, number: int) -> None:
        count = self._rng.randint(0, max(1, self._rate * 2 // 50))
        first = self.sent[number]
        self.sent[number] = first + count
        connection.send(
            b"".join(
                b"Event: Soak\r\nPrivilege: call,all\r\nMark: %d/%d/%d\r\nFiller: %b\r\n\r\n"
                % (self.ident, number, n, b"x" * self._rng.randint(0, 400))
                for n in range(first, first + count)
            )
        )

    @staticmethod
    def _answer(connection: Connection) -> None:
        """Answer the program's pings, without waiting for any."""
        connection.socket.setblocking(False)
        try:
            data = connection.socket.recv(65536)
        except (BlockingIOError, OSError):
            data = b""
        finally:
            connection.socket.setblocking(True)
        for part in data.split(b"ActionID: ")[1:]:
            ident = part.split(b"\r\n")[0]
            connection.send(b"Response: Success\r\nActionID: " + ident + b"\r\nPing: Pong\r\n\r\n")
