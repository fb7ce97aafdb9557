"""A reverse proxy that has the program below a path, which it takes from the requests."""

from __future__ import annotations

import socket

from tests.support.relay import Relay, pass_on

_ELSEWHERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class PrefixProxy(Relay):
    """Says the path in ``X-Forwarded-Prefix``; one request a connection, so that each is seen.

    What is asked for beside the path is not passed on, and stands in ``elsewhere``.
    """

    def __init__(self, target: int, prefix: str) -> None:
        super().__init__(target)
        self.prefix = prefix
        self.elsewhere: list[str] = []

    def forth(self, client: socket.socket, server: socket.socket) -> None:
        head, end, rest = self._read(client).partition(b"\r\n\r\n")
        if end:
            line, *headers = head.decode("latin-1").split("\r\n")
            method, target, version = line.split(" ")
            if target.startswith(self.prefix + "/"):
                told = [f"{method} {target.removeprefix(self.prefix)} {version}"]
                told += [header for header in headers if not self._is_ours(header)]
                told += [f"X-Forwarded-Prefix: {self.prefix}", "X-Forwarded-For: 127.0.0.1"]
                if not any(header.lower().startswith("upgrade:") for header in headers):
                    told.append("Connection: close")
                server.sendall("\r\n".join([*told, "", ""]).encode("latin-1") + rest)
            else:
                self.elsewhere.append(target)
                client.sendall(_ELSEWHERE)
                client.shutdown(socket.SHUT_WR)
        pass_on(client, server)

    def _read(self, client: socket.socket) -> bytes:
        """A head, and what came with it; less if the client leaves."""
        told = b""
        while b"\r\n\r\n" not in told:
            try:
                more = client.recv(65536)
            except OSError:
                return b""
            if not more:
                return b""
            told += more
        return told

    def _is_ours(self, header: str) -> bool:
        """Whether the proxy says it, whatever the client did; an upgrade stays one."""
        name, _, value = header.lower().partition(":")
        return name.startswith("x-forwarded-") or (name == "connection" and "upgrade" not in value)
