"""Loopback ports that stay a test's own, also while nobody listens at them.

A port that was free a moment ago may since be another process's, most often as the near end
of a connection of its own; tests run beside others. Linux gives a port that a socket is bound
to to no connection, and to no one who asks for any free port. Who asks for it by number with
SO_REUSEADDR, as servers do, gets it as long as nobody listens; to connect to it is refused.
"""

from __future__ import annotations

import atexit
import socket


def hold(host: str, port: int = 0) -> socket.socket:
    """A socket that is bound to a TCP port (any, for 0) and does not listen."""
    place = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((host, port))
    except OSError:
        place.close()
        raise
    return place


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens, kept for this process until it ends."""
    place = hold("127.0.0.1")
    atexit.register(place.close)
    port: int = place.getsockname()[1]
    return port
