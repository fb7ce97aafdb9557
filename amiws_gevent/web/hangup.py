"""Tells when a client leaves while its answer is being made, however long that takes.

The greenlet that makes the answer reads nothing from the connection. So a watcher looks whether
the client's end of it has come, without taking a byte of what a next request may be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent import socket
from gevent.hub import get_hub

from amiws_gevent.web.connection import raw_socket

ENVIRON_KEY = "amiws.hangup"
"""Where the web server's handler puts what makes a Hangup, in the WSGI environ."""

_READ = 1  # libev's event mask

MakeHangup = Callable[[Callable[[], None]], "Hangup"]


class Hangup:
    """Calls ``on_end`` once, from the event loop, when the client has ended the connection.

    A client that sends more instead (a next request, or TLS's own messages) is watched no
    longer: then only writing tells that it is gone. Call ``close`` in the end.
    """

    def __init__(self, sock: socket.socket, on_end: Callable[[], None]) -> None:
        self._raw = raw_socket(sock)
        self._on_end = on_end
        self._watcher: Any = get_hub().loop.io(self._raw.fileno(), _READ)
        self._watcher.start(self._look)

    def close(self) -> None:
        """Watch no longer."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None

    def _look(self) -> None:
        try:
            ended = not self._raw.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        self.close()
        if ended:
            self._on_end()
