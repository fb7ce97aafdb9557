"""Other AMI servers beside the one that is measured: some idle and well, some flapping.

``python -m bench.neighbours WELL FLAPPING`` prints all its ports on one line,
the well ones first. A flapping one takes a connection, greets, and resets it,
or does not listen at all for a while.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import struct
import sys
import time

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
OK = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"


def listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    listener.setblocking(False)
    return listener


def main() -> None:
    well, flapping = int(sys.argv[1]), int(sys.argv[2])
    listeners = [listen() for _ in range(well + flapping)]
    print(*(listener.getsockname()[1] for listener in listeners), flush=True)
    selector = selectors.EpollSelector()
    for listener in listeners:
        selector.register(listener, selectors.EVENT_READ)
    bad = set(listeners[well:])
    while True:
        for key, _ in selector.select(1.0):
            if key.fileobj in listeners:
                accept(key.fileobj, selector, hostile=key.fileobj in bad)  # type: ignore[arg-type]
            else:
                answer(key.fileobj, selector)  # type: ignore[arg-type]


def accept(listener: socket.socket, selector: selectors.BaseSelector, *, hostile: bool) -> None:
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        connection.send(BANNER)
        if hostile:
            if random.random() < 0.5:
                time.sleep(0.001)
            no_linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            connection.close()
        else:
            selector.register(connection, selectors.EVENT_READ)


def answer(connection: socket.socket, selector: selectors.BaseSelector) -> None:
    data = connection.recv(65536)
    if not data:
        selector.unregister(connection)
        connection.close()
    elif b"Action: Login" in data:
        connection.send(OK)
    else:
        for part in data.split(b"ActionID: ")[1:]:
            ident = part.split(b"\r\n")[0]
            connection.send(b"Response: Success\r\nActionID: " + ident + b"\r\nPing: Pong\r\n\r\n")


if __name__ == "__main__":
    main()
