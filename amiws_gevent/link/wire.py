"""A connected socket, plain or TLS: one greenlet reads it, any greenlet writes to it."""

from __future__ import annotations

import socket
import ssl

import gevent
from gevent import socket as gsocket
from gevent.ssl import SSLSocket

from amiws_gevent.errors import SendBufferFull
from amiws_gevent.runtime.loop import yield_to_loop

LARGEST_READ = 64 * 1024
"""Bytes of one read, the unit of work of the whole program. A burst should be a few batches;
nothing else should wait long for its turn; and the data made from a read should stay in the
processor's cache. With 256 KiB, which Python also maps and unmaps for each read, a message
costs a quarter more."""

_TLS_RECORD = 16 * 1024  # the most that one record holds (RFC 8446, section 5.1)

_READ, _WRITE = 1, 2  # events of gevent's io watchers
_FIRST = 2  # libev's highest priority


class Wire:
    """The socket without blocking calls, with a bounded buffer for what is to be sent.

    ``limit`` is in bytes, and may be changed at any time; `sock` is taken over.
    """

    def __init__(self, sock: gsocket.socket | SSLSocket, limit: int) -> None:
        sock.settimeout(0.0)
        self._sock = sock
        self.limit = limit
        self._hub = gevent.get_hub()
        # Ahead of all client sockets that the same poll finds ready.
        self._readable = self._hub.loop.io(sock.fileno(), _READ, priority=_FIRST)
        self._writable = self._hub.loop.io(sock.fileno(), _WRITE)
        self._tls = sock if isinstance(sock, SSLSocket) else None
        self._tls_may_hold_more = False
        self._pending = bytearray()
        self._writer: gevent.Greenlet[..., None] | None = None
        self._error: OSError | None = None

    @property
    def pending_bytes(self) -> int:
        """Bytes that the peer has not read yet."""
        return len(self._pending)

    def read(self) -> bytes:
        """Wait for bytes; up to `LARGEST_READ` of what is there, b"" at the end.

        Raises OSError (also `ssl.SSLError`) when the connection broke. Every call
        passes the hub at least once, so a peer that never pauses starves nobody.
        """
        return self._read_plain() if self._tls is None else self._read_tls(self._tls)

    def write(self, data: bytes) -> None:
        """Send ``data``; what the peer does not accept now is sent later. Never blocks.

        All or nothing: raises SendBufferFull with nothing sent where more than the
        limit would wait, OSError when the connection broke.
        """
        if len(self._pending) + len(data) > self.limit:
            raise SendBufferFull(
                f"the server reads too slowly: {len(self._pending)} bytes are waiting"
            )
        if self._error is not None:
            raise self._error
        sent = 0 if self._pending else self._send(data)
        if sent < len(data):
            self._pending += data[sent:]
            if self._writer is None:
                self._writer = gevent.spawn(self._drain)

    def shutdown(self) -> None:
        """End the connection both ways; whoever waits in `read` gets b"" or an error."""
        try:
            # the TLS socket's own shutdown would pull its state from under the reader
            gsocket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            return  # not connected any more: the reader learns that by itself

    def close(self) -> None:
        """Release everything; only for the greenlet that reads."""
        if self._writer is not None:
            self._writer.kill()
        self._readable.close()
        self._writable.close()
        self._sock.close()

    def _read_plain(self) -> bytes:
        while True:
            self._hub.wait(self._readable)
            try:
                return self._sock.recv(LARGEST_READ)
            except BlockingIOError:
                continue

    def _read_tls(self, sock: SSLSocket) -> bytes:
        if self._tls_may_hold_more:  # which the watcher does not see
            yield_to_loop()
        else:
            self._hub.wait(self._readable)
        records: list[bytes] = []
        size = 0
        while size < LARGEST_READ:
            try:
                record: bytes = sock.read(_TLS_RECORD)
            except ssl.SSLWantReadError:
                if records:
                    break
                self._hub.wait(self._readable)
                continue
            except ssl.SSLWantWriteError:  # an answer of TLS's own, with the socket full
                gsocket.wait_write(sock.fileno())
                continue
            except OSError:
                if records:
                    break  # the next read meets the error again
                raise
            if not record:
                break
            records.append(record)
            size += len(record)
        self._tls_may_hold_more = bool(records) and size >= LARGEST_READ
        return b"".join(records)

    def _send(self, data: bytes | bytearray) -> int:
        try:
            # OpenSSL wants a write that it put off to be repeated with the same bytes at
            # its start; all of what is pending is offered each time, so they are.
            sent: int = self._tls.write(data) if self._tls else self._sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        return sent

    def _drain(self) -> None:
        try:
            while self._pending:
                self._hub.wait(self._writable)
                del self._pending[: self._send(self._pending)]
        except OSError as error:
            self._error = error
            self.shutdown()
        finally:
            self._writer = None
