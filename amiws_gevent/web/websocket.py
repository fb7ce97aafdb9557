"""One client's WebSocket: reads its messages in its greenlet, and closes the connection.

Everything that is sent to the client (data, pings, pongs, the Close frame) goes through its
outlet. While more than _UNREAD bytes wait there, each further message is read only after
the client has read some of them. So a client that sends without reading costs little, and
one that reads slowly is still heard.

After ``close`` the client has CLOSE_TIME to send its own Close frame or to end the
connection; then the connection is aborted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import gevent
from gevent import socket
from gevent.hub import get_hub

from amiws_gevent.config import Limits
from amiws_gevent.identity import Identity
from amiws_gevent.runtime.peers import host_of
from amiws_gevent.views import Encoding
from amiws_gevent.web.backlog import Backlog
from amiws_gevent.web.connection import Reader, raw_socket
from amiws_gevent.web.counts import BY_CLIENT, BY_SERVER, KINDS, LOST, SILENT
from amiws_gevent.web.extensions import Agreement
from amiws_gevent.web.frames import (
    ABNORMAL,
    CLOSE,
    INTERNAL_ERROR,
    NORMAL,
    PING,
    POLICY_VIOLATION,
    PONG,
    TRY_AGAIN_LATER,
    FrameError,
    Message,
    close_frame,
    frame,
    frame_end,
    parse_close,
    read_header,
    read_payload,
    text_frames,
)
from amiws_gevent.web.outlet import Outlet, Source
from amiws_gevent.web.pacing import at_once, call_at_once
from amiws_gevent.web.verdict import NOBODY, Grant

CLOSE_TIME = 3.0  # seconds for the client's Close frame; a stop of the program waits as long
SILENT_PINGS = 2.5  # ping intervals without a byte after which a client is closed

_UNREAD = 1 << 20  # bytes that may wait for a client before its messages are read more slowly
_LAST_BYTES = 1 << 20  # bytes to discard from a client that still sends after the close
_WORK_PER_TURN = 64  # frames, or 4 KiB pieces of them, before others have their turn
_PING_FRAME = frame(PING, b"")

_log = logging.getLogger("amiws_gevent.web")


class Sessions(Protocol):
    """Handles clients; ``closed`` is called once for each client passed to ``opened``."""

    def opened(self, client: WebSocketClient) -> None: ...

    def received(self, client: WebSocketClient, text: str) -> None: ...

    def closed(self, client: WebSocketClient, code: int, reason: str) -> None: ...


class WebSocketClient:
    """An upgraded connection.

    ``address`` is the client's, with its port unless a proxy brought it; ``grant`` is its login.
    ``connection`` is the address that it is counted under.
    ``subprotocol``: ``amiws.v2`` or None. ``agreement``: how messages may be compressed; None: they
    may not (``compressed``). ``encode`` makes frames of them. ``closed`` is True once the close has
    begun; then ``close_code``, ``close_kind`` (of ``counts``) and ``close_reason`` say why (1006:
    without a Close frame of the client). ``outlet`` sends to it; ``make_source`` and ``spread`` are
    the outlet's.
    """

    __slots__ = (
        "_alive",
        "_done",
        "_failed",
        "_message",
        "_message_limit",
        "_pinged",
        "_reader",
        "_socket",
        "_timer",
        "_unanswered",
        "_work",
        "address",
        "clock",
        "close_code",
        "close_kind",
        "close_reason",
        "closed",
        "compressed",
        "connection",
        "encode",
        "grant",
        "outlet",
        "subprotocol",
    )

    def __init__(
        self,
        sock: socket.socket,
        reader: Reader,
        *,
        address: str,
        grant: Grant = NOBODY,
        connection: str = "",
        subprotocol: str | None,
        agreement: Agreement | None = None,
        limits: Limits,
        make_source: Callable[[], Source] = Backlog,
        spread: Callable[[Callable[[], None]], None] = call_at_once,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.closed = False
        self.address = address
        self.grant = grant
        self.connection = connection or host_of(address)
        self.subprotocol = subprotocol
        self.encode: Encoding = text_frames if agreement is None else agreement.encode
        self.compressed = agreement is not None
        self.clock = clock
        self.close_code = ABNORMAL
        self.close_kind = LOST
        self.close_reason = ""
        self._socket = sock
        self._reader = reader
        self.outlet = Outlet(
            sock,
            self,
            limit=limits.client_buffer,
            make_source=make_source,
            spread=spread,
            clock=clock,
        )
        self._message_limit = limits.client_message
        self._message: Message | None = None  # that has begun and is not whole yet
        self._pinged = self._alive = clock()  # the client's last sign of life
        self._unanswered = 0  # pings since then
        self._done = False  # read no more frames
        self._failed = False  # it broke a rule
        self._timer: Any = None
        self._work = 0

    @property
    def identity(self) -> Identity:
        """Who it is."""
        return self.grant.identity(host_of(self.address))

    @property
    def user(self) -> str | None:
        """Who logged in; None: nobody had to."""
        return self.grant.user

    @property
    def pending_bytes(self) -> int:
        """What waits for the client, bytes and ITEM_COST for each buffer."""
        return self.outlet.pending_bytes

    @property
    def blocked(self) -> bool:
        """Whether something waits for the client."""
        return self.outlet.blocked

    def send_text(self, text: bytes | str) -> None:
        """Send this client alone a text message, UTF-8 if bytes; never blocks or raises."""
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        self.outlet.send(self.encode((data,)))

    def tend(self, now: float, ping_interval: float, message_time: float) -> None:
        """Send a ping if one is due, and close a client that is silent or too slow to send.

        ``message_time`` bounds the time from the first to the last byte of a message. All in
        seconds.
        """
        if self.closed:
            return
        self._look_for_life()
        message = self._message
        # Two pings must be unanswered, since the process itself may have stood still, or a
        # reload may have changed the interval.
        if self._unanswered > 1 and now - self._alive > SILENT_PINGS * ping_interval:
            asked = self.outlet.awaited or self._reader.heard > self._alive
            what = "the client read nothing" if asked else "the client sent nothing"
            self.abort(f"{what} for {now - self._alive:.0f} s", SILENT)
        elif message is not None and now - message.since > message_time:
            self._fail(POLICY_VIOLATION, f"a message took longer than {message_time:.0f} s")
        elif now - self._pinged >= ping_interval:
            self._pinged = now
            self._unanswered += 1
            if not self.outlet.blocked:
                self.outlet.send(_PING_FRAME)

    def _look_for_life(self) -> None:
        """Any byte from the client is one; while bytes wait for it, only that it reads them."""
        outlet = self.outlet
        self._alive = max(self._alive, outlet.moved)
        if not outlet.blocked:
            self._alive = max(self._alive, self._reader.heard)
        if self._alive >= self._pinged:
            self._unanswered = 0

    # How it ends

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a Close frame after all that waits; returns at once."""
        self._finish(code, reason)

    def dismiss(self, code: int, reason: str) -> None:
        """Send a Close frame at once; what waits for the client is not for it any more."""
        self._finish(code, reason, drop=True)

    def abort(self, reason: str, kind: str = LOST) -> None:
        """Shut the connection down at once; what was not sent is freed."""
        if not self.closed:
            self.closed = True
            self.close_kind, self.close_reason = kind, reason
        self.outlet.abort()

    def fell_behind(self, pending: int) -> None:
        """Of `outlet.Owner`: too much waits for the client."""
        self._finish(TRY_AGAIN_LATER, f"too slow: {pending} bytes waiting", drop=True)

    def connection_lost(self, error: OSError) -> None:
        """Of `outlet.Owner`: writing failed."""
        self.abort(f"connection lost: {error.strerror or error}")

    def _finish(
        self, code: int, reason: str, kind: str | None = None, *, drop: bool = False
    ) -> None:
        """Send the Close frame, and give the client CLOSE_TIME to answer.

        ``drop``: send it at once and drop what waits, except a partly sent frame.
        """
        if self.closed:
            return
        self.closed = True
        self.close_code, self.close_reason = code, reason
        self.close_kind = kind or KINDS.get(code, BY_SERVER)
        self.outlet.finish(close_frame(code, reason), frame_end if drop else None)
        self._timer = get_hub().loop.timer(CLOSE_TIME)
        self._timer.start(self.abort, "no answer to the Close frame")

    def _fail(self, code: int, reason: str) -> None:
        """The client broke a rule: close, and read no more of its frames."""
        self._failed = True
        self._finish(code, reason, drop=True)
        self._end()

    def _end(self) -> None:
        """Nothing more is read, and the output ends after the Close frame."""
        self._done = True
        self.outlet.end()

    # What the client sends

    def run(self, sessions: Sessions, pace: Callable[[], None] = at_once) -> None:
        """Serve the client until the connection ends, in the calling greenlet.

        ``pace`` is called before each read, each text and the end; it may wait, since
        thousands of clients may send or leave at once.
        """
        self._reader.pace = pace
        try:
            if not self._call(sessions.opened):
                self.close(INTERNAL_ERROR, "internal error")
            while (text := self.receive()) is not None:
                pace()
                self._call(sessions.received, text)
            pace()
            self._call(sessions.closed, self.close_code, self.close_reason)
            self._linger()
        finally:
            self._release()

    def receive(self) -> str | None:
        """Wait for the next whole text message; None at the end of the connection.

        Pings are answered meanwhile. A violation of RFC 6455 or of a limit closes the
        connection with the code for it.
        """
        while not self._done:
            self._await_reading()
            try:
                text = self._receive_frame()
            except FrameError as error:
                self._fail(error.code, str(error))
            except (EOFError, OSError) as error:
                self._done = True
                self.abort(f"connection lost: {error}")
            else:
                if text is not None and not self.closed:
                    return text
        return None

    def _await_reading(self) -> None:
        """If too much waits for the client, wait until it has read some; only between messages.

        Not until less waits: with ``slow: drop`` the backlog of a client on a slow network
        may never get shorter, and its pings and actions must still be read.
        """
        outlet = self.outlet
        if not outlet.blocked or self.closed or self._message is not None:
            return
        if outlet.pending_bytes > min(_UNREAD, outlet.limit // 2):
            outlet.wait_until_some_is_sent()

    def _receive_frame(self) -> str | None:
        """Read the next frame; returns the text if it completes a message."""
        limit = self._message_limit
        header = read_header(self._reader, self._message, limit, deflate=self.compressed)
        if header.opcode < CLOSE:
            if self._message is None:
                self._message = Message(self.clock(), deflated=header.deflated, limit=limit)
            text = self._message.add(read_payload(self._reader, header), fin=header.fin)
            if header.fin:
                self._message = None
        else:
            text = None
            self._control(header.opcode, read_payload(self._reader, header))
        self._work += 1 + (max(header.length, len(text or "")) >> 12)
        if self._work >= _WORK_PER_TURN:
            self._work = 0
            gevent.sleep(0)
        return text

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            # Only the newest ping needs an answer, as soon as possible (RFC 6455, 5.5.3).
            self.outlet.send_next(frame(PONG, payload))
        elif opcode == CLOSE:
            code, reason = parse_close(payload)
            self._finish(code, reason, BY_CLIENT, drop=True)
            self._end()

    def _linger(self) -> None:
        """Discard what the client still sends.

        Closing a socket with unread bytes resets the connection, and the client may lose
        the Close frame.
        """
        with suppress(OSError):
            if self._failed or self.outlet.blocked:
                self._reader.discard(_LAST_BYTES)
            else:
                raw_socket(self._socket).recv(_LAST_BYTES)

    def _call(self, hook: Callable[..., None], *arguments: object) -> bool:
        try:
            hook(self, *arguments)
        except Exception:  # noqa: BLE001  # our own fault must not look like the client's
            _log.exception("client %s: internal error in %s()", self.address, hook.__name__)
            return False
        return True

    def _release(self) -> None:
        """Free the socket, the outlet and the timer; later offers are ignored."""
        self.closed = True
        self.outlet.release()
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
        self._reader.close()
        self._socket.close()
