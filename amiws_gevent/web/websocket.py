"""One client's WebSocket: what it says, read in its greenlet; what it is told, sent at once.

Every byte out, data, pong, ping and close alike, goes through ``offer``: one
non-blocking send on the raw socket. What the kernel does not take waits in a backlog,
and a watcher that exists only while the socket is blocked sends it on from the event
loop, once there is time for it. So two senders never mix their bytes, and no client keeps
another, or the one who offers, waiting.

What ``offer`` does is one call through ``_send``, which is changed with the state, so
that the state need not be asked for on the way that is taken for each client and batch:

    state      _send        what it does
    open       the socket's send
    blocked    _enqueue     adds to the backlog; past the bound the client is too slow
    closing    len          takes all and sends nothing

Past _UNREAD bytes in the backlog each further message of the client is taken only once it
has read some of that: who asks without end and reads nothing costs little, and one that
merely reads slowly is heard all the same.

A client that is told to go (``close``) has CLOSE_TIME to answer with its own Close frame
or to end the connection; then it is cut off (``abort``).
"""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import gevent
from gevent import socket, ssl
from gevent.event import Event
from gevent.hub import get_hub
from geventwebsocket.websocket import WebSocket

from amiws_gevent.batch import Item
from amiws_gevent.config import Limits
from amiws_gevent.web.backlog import ITEM_COST, Backlog, Losses
from amiws_gevent.web.connection import WOULD_BLOCK, Reader, hang_up, raw_socket, resent, writer_of
from amiws_gevent.web.counts import BY_CLIENT, BY_SERVER, KINDS, LOST, SILENT
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
    parse_close,
    read_header,
    read_payload,
    text_frame,
)
from amiws_gevent.web.pacing import at_once, call_at_once

CLOSE_TIME = 3.0  # seconds for the other side's Close frame, as many as a stop of the program has
SILENT_PINGS = 2.5  # ping intervals without a byte after which a client is gone

_UNREAD = 1 << 20  # bytes that may wait for a client that is heard freely
_LAST_BYTES = 1 << 20  # bytes read away from a client that is done with and still sends
_SENDS_PER_TURN = 16  # of one client's backlog, before others have their turn
_WORK_PER_TURN = 64  # frames, or 4 KiB pieces of them, likewise for what one client says
_PING_FRAME = frame(PING, b"")
_READ, _WRITE = 1, 2  # libev's event masks
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger

_log = logging.getLogger("amiws_gevent.web")


class Sessions(Protocol):
    """What is done with clients; ``closed`` comes once for each client that ``opened`` got."""

    def opened(self, client: WebSocketClient) -> None: ...

    def received(self, client: WebSocketClient, text: str) -> None: ...

    def closed(self, client: WebSocketClient, code: int, reason: str) -> None: ...


class WebSocketClient(WebSocket):  # type: ignore[misc]  # gevent-websocket has no types
    """An upgraded connection.

    ``address`` is the peer's with its port, ``user`` who logged in, ``subprotocol``
    ``amiws.v2`` or None, ``pending_bytes`` what waits for a blocked socket (with ITEM_COST
    for each buffer). ``closed`` says that the closing has begun; then ``close_code``,
    ``close_kind`` (of ``counts``) and ``close_reason`` say why (1006: without a Close frame
    of the client).

    With ``losses`` a client that is too slow loses messages, counted there, in the place
    of its connection. ``spread`` is given what is to be done once a blocked socket has
    room, which may be that of thousands at once; it calls it when there is time.

    The shipped class is kept for its interface; all that it does is replaced: its
    ``close`` loses the code, its ``send_frame`` lets two senders mix their bytes, its
    ``receive`` has no limits, and its ``__del__`` writes to the socket.
    """

    __slots__ = (
        "_done",
        "_failed",
        "_losses",
        "_message",
        "_message_since",
        "_moved",
        "_pending_limit",
        "_pinged",
        "_queue",
        "_reader",
        "_room",
        "_send",
        "_socket",
        "_spread",
        "_timer",
        "_unanswered",
        "_watcher",
        "_work",
        "_write",
        "address",
        "clock",
        "close_code",
        "close_kind",
        "close_reason",
        "closed",
        "pending_bytes",
        "subprotocol",
        "user",
    )

    def __init__(
        self,
        sock: socket.socket,
        reader: Reader,
        *,
        address: str,
        user: str | None,
        subprotocol: str | None,
        limits: Limits,
        losses: Losses | None = None,
        spread: Callable[[Callable[[], None]], None] = call_at_once,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Not the base class's: it keeps the request, and a validator that is not used.
        self.closed = False
        self.address = address
        self.user = user
        self.subprotocol = subprotocol
        self.clock = clock
        self.pending_bytes = 0
        self.close_code = ABNORMAL
        self.close_kind = LOST
        self.close_reason = ""
        self._socket = sock
        self._reader = reader
        self._write = writer_of(sock)
        self._send = self._write
        self._queue: Backlog | None = None
        self._moved = 0.0  # the client's last sign of life, while it has a backlog
        self._pending_limit = limits.client_buffer
        self._room: Event | None = None  # what the greenlet that reads waits for, if it does
        self._losses = losses
        self._spread = spread
        self._message = Message(limits.client_message)
        self._message_since: float | None = None
        self._pinged = clock()
        self._done = False  # nothing more is wanted of the client
        self._failed = False  # it broke a rule
        self._unanswered = 0  # pings since the last byte
        self._timer: Any = None
        self._watcher: Any = None
        self._work = 0

    def __del__(self) -> None:
        """Nothing: the shipped one writes to the socket, whenever the garbage is collected."""

    # What the client is told

    def offer(self, item: Item) -> None:
        """Send what the hub has; as ``send_frames``."""
        self.send_frames(item.data)

    def send_frames(self, data: bytes) -> None:
        """Send whole frames, as much as goes at once; the rest as the client reads.

        Never blocks and never raises, also once the client is gone. ``data`` is not
        copied: all clients share it. A client for which more than ``client_buffer`` bytes
        would wait is closed with 1013; only a single buffer may be larger than that. With
        ``losses`` such a client does not get ``data``, but is told how much it has lost.
        """
        try:
            sent = self._send(data)
        except OSError as error:
            self._not_sent(data, error)
            return
        if sent != len(data):
            self._block(memoryview(data)[sent:])

    def send_text(self, text: bytes | str) -> None:
        """Send one text message, UTF-8 if bytes; like ``offer`` it never blocks or raises."""
        self.send_frames(
            text_frame(text.encode("utf-8", "replace") if isinstance(text, str) else text)
        )

    def send_frame(self, message: bytes | str, opcode: int) -> None:
        """The shipped class's way out, so that its ``send`` cannot go past ``offer``."""
        self.send_frames(
            frame(opcode, message.encode() if isinstance(message, str) else bytes(message))
        )

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin to close, behind what is still to be sent; returns at once."""
        self._finish(code, reason)

    def abort(self, reason: str, kind: str = LOST) -> None:
        """Cut the connection off; what was not sent is freed at once."""
        if not self.closed:
            self.closed = True
            self.close_kind, self.close_reason = kind, reason
        raw = raw_socket(self._socket)
        with suppress(OSError):  # gone already
            if self.pending_bytes:  # nor need the kernel keep what nobody reads
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            raw.shutdown(socket.SHUT_RDWR)  # wakes the greenlet that reads
        self._send = len
        self._forget_pending()

    def tend(self, now: float, ping_interval: float, message_time: float) -> None:
        """Do what is due: a ping, or the end of a client that is silent or never finishes.

        Any byte is a sign of life, but from a client with a backlog only that it reads.
        ``message_time`` bounds a message from the first to the last of its bytes. All in
        seconds.
        """
        if self.closed:
            return
        heard = self._reader.heard if self._queue is None else self._moved
        if heard >= self._pinged:
            self._unanswered = 0
        # Two pings have to be unanswered, however long the process itself stood still
        # and whatever the interval was before.
        if self._unanswered > 1 and now - heard > SILENT_PINGS * ping_interval:
            not_asked = self._room is None and self._reader.heard <= heard
            what = "no byte came" if not_asked else "nothing was read"
            self.abort(f"{what} for {now - heard:.0f} s", SILENT)
        elif self._message_since is not None and now - self._message_since > message_time:
            self._fail(POLICY_VIOLATION, f"a message took more than {message_time:.0f} s")
        elif now - self._pinged >= ping_interval:
            self._pinged = now
            self._unanswered += 1
            if self._queue is None:
                self.send_frames(_PING_FRAME)

    def _not_sent(self, data: bytes, error: OSError) -> None:
        if isinstance(error, WOULD_BLOCK):
            self._block(data)
        else:
            self.abort(f"connection lost: {error.strerror or error}")

    def _block(self, rest: bytes | memoryview) -> None:
        """The kernel takes no more: keep ``rest`` and send it on once there is room."""
        self._queue = Backlog((rest,))
        self._moved = self._reader.heard
        self.pending_bytes = len(rest) + ITEM_COST
        self._send = self._enqueue
        self._watch(_WRITE)

    def _enqueue(self, data: bytes) -> int:
        assert self._queue is not None
        size = len(data)
        pending = self.pending_bytes + size + ITEM_COST
        if pending <= self._pending_limit:
            self._queue.append(data)
            self.pending_bytes = pending
        elif self._losses is not None:
            self.pending_bytes += self._queue.leave_out(self._losses.add(data))
        else:
            self._finish(TRY_AGAIN_LATER, f"too slow: {self.pending_bytes} bytes wait", drop=True)
        return size

    def _watch(self, events: int) -> None:
        """Have ``_drain`` called once the socket is ready for ``events``."""
        if self._watcher is None or self._watcher.events != events:
            self._unwatch()
            self._watcher = get_hub().loop.io(self._socket.fileno(), events)
        self._watcher.start(self._ready)

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None

    def _ready(self) -> None:
        self._watcher.stop()  # until then it would tell so at each turn of the loop
        self._spread(self._drain)

    def _drain(self) -> None:
        """Send what is pending until the socket blocks again or others should have a turn."""
        queue = self._queue
        if queue is None:  # cut off meanwhile
            return
        for _ in range(_SENDS_PER_TURN):
            data = queue[0]
            try:
                sent = self._write(data)
            except WOULD_BLOCK as error:
                self._watch(_READ if isinstance(error, ssl.SSLWantReadError) else _WRITE)
                return
            except OSError as error:
                self.abort(f"connection lost: {error.strerror or error}")
                return
            self._moved = self.clock()
            self._hear_again()
            self.pending_bytes -= sent
            if sent < len(data):
                queue[0] = memoryview(data)[sent:]
                continue
            queue.popleft()
            self.pending_bytes -= ITEM_COST
            if not queue:
                self._caught_up()
                return
        self._watch(_WRITE)

    def _caught_up(self) -> None:
        self._reader.heard = self._moved
        self._forget_pending()
        if not self.closed:
            self._send = self._write
        elif self._done:
            hang_up(self._socket)

    def _forget_pending(self) -> None:
        self._queue = None
        self.pending_bytes = 0
        self._unwatch()
        self._hear_again()

    # How it ends

    def _finish(
        self, code: int, reason: str, kind: str | None = None, *, drop: bool = False
    ) -> None:
        """Send the Close frame, and give the client CLOSE_TIME for its part.

        ``drop``: before all that is pending but for a frame of which a part is sent.
        """
        if self.closed:
            return
        self.closed = True
        self.close_code, self.close_reason = code, reason
        self.close_kind = kind or KINDS.get(code, BY_SERVER)
        last = close_frame(code, reason)
        if drop and self._queue is not None:
            self.pending_bytes = self._queue.give_up(resent(self._socket))
        if self._queue is None:
            self.send_frames(last)
        else:
            self._queue.append(last)
            self.pending_bytes += len(last) + ITEM_COST
        self._send = len
        self._hear_again()
        self._timer = get_hub().loop.timer(CLOSE_TIME)
        self._timer.start(self.abort, "no answer to the Close frame")

    def _fail(self, code: int, reason: str) -> None:
        """The client broke a rule: close, and take nothing of what it sends as frames any more."""
        self._failed = True
        self._finish(code, reason, drop=True)
        self._part()

    def _part(self) -> None:
        """Both sides have said their last: end the output as soon as all is sent."""
        self._done = True
        if self._queue is None:
            hang_up(self._socket)

    # What the client says

    def run(self, sessions: Sessions, pace: Callable[[], None] = at_once) -> None:
        """Serve the client until its connection is over, in the greenlet that calls this.

        ``pace`` is called ahead of each read and each text, and of the end, since all
        clients may send or go at once: it may wait until there is time.
        """
        self._reader.pace = pace
        try:
            if not self._tell(sessions.opened):
                self.close(INTERNAL_ERROR, "internal error")
            while (text := self.receive()) is not None:
                pace()
                self._tell(sessions.received, text)
            pace()
            self._tell(sessions.closed, self.close_code, self.close_reason)
            self._linger()
        finally:
            self._release()

    def receive(self) -> str | None:
        """Wait for the next whole text; None once there will be no more.

        Pings are answered on the way; what breaks RFC 6455 or a limit closes the
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
        """Between two messages, wait until a client that does not read what waits reads some.

        By what it has read, not by how much waits: with ``losses`` the backlog of a client
        on a slow network may never get shorter, and its pings and actions have to be heard.
        """
        if not self.pending_bytes or self.closed or self._message_since is not None:
            return
        if self.pending_bytes > min(_UNREAD, self._pending_limit // 2):
            self._room = Event()
            self._room.wait()
            self._room = None

    def _hear_again(self) -> None:
        if self._room is not None:
            self._room.set()

    def _receive_frame(self) -> str | None:
        """Take the next frame; the text if it completes one."""
        message = self._message
        header = read_header(self._reader, message)
        if header.opcode < CLOSE:
            if self._message_since is None:
                self._message_since = self.clock()
            text = message.add(read_payload(self._reader, header), fin=header.fin)
            if header.fin:
                self._message_since = None
        else:
            text = None
            self._control(header.opcode, read_payload(self._reader, header))
        self._work += 1 + (header.length >> 12)
        if self._work >= _WORK_PER_TURN:
            self._work = 0
            gevent.sleep(0)
        return text

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            answer = frame(PONG, payload)
            if self._queue is None or self.closed:
                self.send_frames(answer)
            else:
                self.pending_bytes += self._queue.answer_ping(answer)
        elif opcode == CLOSE:
            code, reason = parse_close(payload)
            self._finish(code, reason, BY_CLIENT, drop=True)
            self._part()

    def _linger(self) -> None:
        """Read away what should not have come, or comes while the last is on its way.

        A socket that is closed with bytes unread resets the connection, and the other
        side may lose the Close frame.
        """
        with suppress(OSError):
            if self._failed or self._queue is not None:
                self._reader.discard(_LAST_BYTES)
            else:
                raw_socket(self._socket).recv(_LAST_BYTES)

    def _tell(self, hook: Callable[..., None], *arguments: object) -> bool:
        try:
            hook(self, *arguments)
        except Exception:  # noqa: BLE001  # a fault of ours must not look like one of the client's
            _log.exception("client %s: its %s hook failed", self.address, hook.__name__)
            return False
        return True

    def _release(self) -> None:
        """Give back the socket and all that hangs on it; ``offer`` goes on to do nothing."""
        self.closed = True
        self._send = self._write = len
        self._forget_pending()
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
        self._reader.close()
        self._socket.close()
