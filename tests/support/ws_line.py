"""A WebSocketClient on a socket of small buffers, and the client at the other end of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import trustme
from gevent import socket, ssl

from amiws_gevent.batch import Item
from amiws_gevent.config import Limits
from amiws_gevent.losses import Losses
from amiws_gevent.web.backlog import Backlog, LossyBacklog
from amiws_gevent.web.connection import Reader
from amiws_gevent.web.extensions import Agreement
from amiws_gevent.web.frames import text_frame
from amiws_gevent.web.listener import open_listener
from amiws_gevent.web.verdict import Grant
from amiws_gevent.web.websocket import WebSocketClient
from tests.support.patience import WAIT
from tests.support.webserver import FakeSessions, Peer

SMALL = 16 * 1024  # bytes of a socket's buffer, so that little blocks it
CLOSE, PING, PONG = 8, 9, 10


class Far(Peer):
    """The client's end of a connection that is there already."""

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.socket.settimeout(WAIT)
        self.buffer = b""


class Line:
    """A WebSocketClient and the client at the other end of it, over TLS or not."""

    def __init__(
        self,
        *,
        tls: bool = False,
        losses: Losses | None = None,
        agreement: Agreement | None = None,
        spread: Callable[[Callable[[], None]], None] = lambda work: work(),
        **limits: Any,
    ) -> None:
        with open_listener("127.0.0.1", 0) as listener:
            far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            far.connect(listener.getsockname())
            near, _ = listener.accept()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            near, far = handshake(near, far)
        self.now = 1000.0
        self.far = Far(far)
        self.client = WebSocketClient(
            near,
            Reader(near, lambda: self.now),
            address="192.0.2.1:99",
            grant=Grant("ann"),
            subprotocol=None,
            agreement=agreement,
            limits=Limits(**limits),
            make_source=partial(LossyBacklog, losses, text_frame) if losses else Backlog,
            spread=spread,
            clock=lambda: self.now,
        )
        self.near = near
        self.sessions: Any = FakeSessions()
        self.greenlet: gevent.Greenlet[..., None] | None = None

    def run(self, sessions: Any = None, pace: Callable[[], object] = lambda: None) -> None:
        self.sessions = sessions or self.sessions
        self.greenlet = gevent.spawn(self.client.run, self.sessions, pace)
        gevent.sleep(0)

    def offer(self, data: bytes, messages: int = 1) -> None:
        """As the hub does."""
        self.client.outlet.offer(Item(data, messages, {}))

    def block(self, size: int = 1000) -> int:
        """Offer numbered texts until they wait; how many."""
        for number in range(100_000):
            self.offer(text_frame(b"%d " % number + b"x" * size))
            if self.client.pending_bytes:
                return number + 1
        raise AssertionError("never blocked")

    def texts(self) -> list[bytes]:
        """The numbers of all texts that come until the end, which is a Close frame."""
        *texts, last = self.far.frames()
        assert last.opcode == CLOSE
        return [text.payload.split(b" ")[0] for text in texts]

    def end(self) -> None:
        if self.greenlet is not None:
            self.client.abort("the test is over")
            self.greenlet.join(WAIT)
            assert self.greenlet.successful()
        self.client._release()
        self.far.socket.close()


def handshake(near: Any, far: Any) -> tuple[Any, Any]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trust)
    serving = gevent.spawn(context.wrap_socket, near, server_side=True)
    return_far = trust.wrap_socket(far, server_hostname="localhost")
    return serving.get(timeout=WAIT), return_far


MakeLine = Callable[..., Line]
