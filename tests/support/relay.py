"""A TCP relay on loopback between a client and the program: connections are cut as a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Relay:
    """Listens on ``port`` and passes everything to and from ``target``, a port as well."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """End all connections that there are."""
        with self._lock:
            sockets = list(self._sockets)
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def forth(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what the client says."""
        pass_on(client, server)

    def back(self, server: socket.socket, client: socket.socket) -> None:
        """Pass on what the target says."""
        pass_on(server, client)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closed:
                client, _ = self._listener.accept()
                self._join(client)

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        with self._lock:
            self._sockets |= {client, server}
        self._start(self._pair, client, server)

    def _pair(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self.back, args=[server, client])
        back.start()
        self.forth(client, server)
        back.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()


def pass_on(
    source: socket.socket,
    to: socket.socket,
    send: Callable[[socket.socket, bytes], None] = socket.socket.sendall,
) -> None:
    """Pass on what comes until either side ends, then end both."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            send(to, data)
    for one in (source, to):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
