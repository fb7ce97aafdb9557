"""Sends to one client: at once while its socket accepts data, else as the client reads.

``offer`` sends an item of the stream that all clients of a view share, ``send`` what is for
this client alone. Each is one write that never waits. What the kernel does not accept is
kept, and sent from the event loop by a watcher that exists only while the socket is
blocked. So two senders never mix their bytes, and a slow client delays nobody else.

While the socket is blocked, offered items go to a source, and the outlet pulls from it when
the socket accepts data again. The source is the policy for a slow client: it may refuse
(then the client is closed), drop items, or replace old ones by the newest. A source lasts
until everything is sent; the next is made when needed. A source that has something of its own
to send has itself pulled with ``pump``: till it has given all, the outlet counts as blocked.

    sent in this order, while blocked    filled by
    the rest of a partly sent buffer     the kernel, which took a part
    the newest urgent bytes              ``send_next``
    what is for this client alone        ``send``, within ``limit``
    what the source gives                ``offer``, within ``limit`` with all others
    the last bytes                       ``finish``

The state is held in ``_send`` itself, so that the hot path, one call per client and item,
need not check a flag:

    open       the socket's send
    blocked    _take_nothing
    closing    len           accepts all and sends nothing

An outlet knows no protocol: it is given whole frames.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Protocol

from gevent import socket, ssl
from gevent.event import Event
from gevent.hub import get_hub

from amiws_gevent.batch import Item, Position
from amiws_gevent.web.backlog import ITEM_COST, Backlog
from amiws_gevent.web.connection import WOULD_BLOCK, hang_up, raw_socket, resent, writer_of

_SENDS_PER_TURN = 16  # to one client, before others have their turn
_TURN = 0.002  # seconds likewise, since a source may have to make what it gives
_READ, _WRITE = 1, 2  # libev's event masks
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger
_NEVER = float("-inf")
_NOWHERE: Mapping[int, Position] = MappingProxyType({})

Cut = Callable[[bytes, int], int]
"""Gives, for whole frames and an offset, the first frame boundary at or after the offset."""


class Source(Protocol):
    """Keeps what is offered to a blocked client until there is room for it."""

    @property
    def pending_bytes(self) -> int:
        """What is kept, bytes and ITEM_COST for each buffer."""

    def push(self, item: Item, room: int, /) -> bool:
        """Keep ``item``; afterwards ``pending_bytes`` must be at most ``room``.

        False if the client must be closed.
        """

    def pull(self) -> bytes | None:
        """Remove and return what is sent next, whole frames; None if there is nothing.

        Empty bytes: there is more, but others should have a turn of the loop first.
        """


class Owner(Protocol):
    """The client. Both methods are called from within ``offer`` too, so they must not wait."""

    def fell_behind(self, pending: int) -> None:
        """The source refused, or too much is for the client alone; ``pending`` bytes wait."""

    def connection_lost(self, error: OSError) -> None:
        """Writing failed: nothing will be sent any more."""


def _take_nothing(_data: bytes) -> int:
    """Stands for the socket's send while the socket is blocked."""
    return 0


class Outlet:
    """The writing side of a socket; the caller closes the socket.

    ``limit`` bounds the bytes that may wait. ``make_source`` is called when an item is
    offered while the socket is blocked. ``spread`` is called with the work to do when a
    blocked socket accepts data again; thousands may at once, so it may delay the work.
    ``moved`` is when the socket last accepted bytes that had waited (on ``clock``).
    """

    __slots__ = (
        "_answers",
        "_clock",
        "_ends",
        "_last",
        "_make_source",
        "_owner",
        "_pending",
        "_rest",
        "_room",
        "_send",
        "_socket",
        "_source",
        "_spread",
        "_urgent",
        "_watcher",
        "_write",
        "limit",
        "moved",
    )

    def __init__(
        self,
        sock: socket.socket,
        owner: Owner,
        *,
        limit: int,
        make_source: Callable[[], Source],
        spread: Callable[[Callable[[], None]], None],
        clock: Callable[[], float],
    ) -> None:
        self.limit = limit
        self.moved = _NEVER
        self._socket = sock
        self._owner: Owner | None = owner
        self._make_source = make_source
        self._spread = spread
        self._clock = clock
        self._write = writer_of(sock)
        self._send = self._write
        self._rest: bytes | memoryview | None = None  # to be sent first; None: not blocked
        self._urgent: bytes | None = None
        self._answers: Backlog | None = None
        self._source: Source | None = None
        self._last = b""
        self._pending = 0  # what `_rest`, `_urgent` and `_last` cost
        self._ends = False  # the output, once all is sent
        self._room: Event | None = None  # set for a greenlet in `wait_until_some_is_sent`
        self._watcher: Any = None

    @property
    def blocked(self) -> bool:
        """Whether something waits."""
        return self._rest is not None

    @property
    def awaited(self) -> bool:
        """Whether a greenlet is in ``wait_until_some_is_sent``."""
        return self._room is not None

    @property
    def pending_bytes(self) -> int:
        """What waits, bytes and ITEM_COST for each buffer."""
        pending = self._pending
        if self._answers is not None:
            pending += self._answers.pending_bytes
        if self._source is not None:
            pending += self._source.pending_bytes
        return pending

    # What is sent

    def offer(self, item: Item) -> None:
        """Send an item of the stream: what the socket accepts now, the rest as the client reads.

        Never blocks and never raises, also once the client is gone. The bytes are not
        copied: all clients share them. Only a single item may be larger than ``limit``.
        """
        data = item.data
        try:
            sent = self._send(data)
        except WOULD_BLOCK:
            sent = 0
        except OSError as error:
            self._lose(error)
            return
        if sent != len(data):
            if self._rest is None:
                self._block(memoryview(data)[sent:] if sent else data)
            else:
                self._keep(item)

    def send(self, data: bytes) -> None:
        """Send whole frames to this client alone; as ``offer``, but no source drops them.

        While blocked they go ahead of what is offered. A client for which more than ``limit``
        bytes would wait, without what the source has, has fallen behind.
        """
        item = Item(data, 0, _NOWHERE)
        if self._send is not _take_nothing:
            self.offer(item)
            return
        if self._answers is None:
            self._answers = Backlog()
        # What is begun may be a single item that is larger than all that may wait.
        begun = min(self._pending, self.limit // 2)
        if not self._answers.push(item, self.limit - begun):
            self._fall_behind()

    def send_next(self, data: bytes) -> None:
        """Send whole frames as soon as possible, in the place of former ones that still wait.

        So two of them wait at most: the one whose sending may have begun, and the newest.
        """
        if self._send is not _take_nothing:
            self.send(data)
            return
        if self._urgent is not None:
            self._pending -= len(self._urgent) + ITEM_COST
        self._urgent = data
        self._pending += len(data) + ITEM_COST

    def use_source(self, make_source: Callable[[], Source]) -> None:
        """Have another source made; call it before anything was offered."""
        self._make_source = make_source

    def pump(self) -> None:
        """Pull from the source, from the event loop, until it has given all.

        Nothing is sent before the next turn of the loop, and what is for this client alone
        goes ahead.
        """
        if self._rest is None:
            if self._send is len:  # it is closing
                return
            self._block(b"")
        if self._source is None:
            self._source = self._make_source()

    def wait_until_some_is_sent(self) -> None:
        """Wait for the client to read some of what waits, or for an end of the sending."""
        self._room = Event()
        self._room.wait()
        self._room = None

    def _block(self, rest: bytes | memoryview) -> None:
        """The kernel takes no more: keep ``rest`` and send it on once there is room."""
        self._rest = rest
        self._pending = len(rest) + ITEM_COST
        self._send = _take_nothing
        self._watch(_WRITE)

    def _keep(self, item: Item) -> None:
        source = self._source
        if source is None:
            source = self._source = self._make_source()
        room = self.limit - self._pending
        if self._answers is not None:
            room -= self._answers.pending_bytes
        if not source.push(item, room):
            self._fall_behind()

    def _fall_behind(self) -> None:
        assert self._owner is not None
        self._owner.fell_behind(self.pending_bytes)

    def _lose(self, error: OSError) -> None:
        assert self._owner is not None
        self._owner.connection_lost(error)

    # How it goes on

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
        self._watcher.stop()  # else it would fire at each turn of the loop
        self._spread(self._drain)

    def _drain(self) -> None:
        """Send what waits until the socket blocks again or others should have a turn."""
        turn_end = self._clock() + _TURN
        for _ in range(_SENDS_PER_TURN):
            data = self._rest
            if data is None:  # cut off meanwhile
                return
            if data and not self._write_some(data):
                return
            if self._rest:
                continue
            self._pending -= ITEM_COST
            self._rest = self._next()
            if self._rest is None:
                self._catch_up()
                return
            if not self._rest or self._clock() > turn_end:
                break
        self._watch(_WRITE)

    def _write_some(self, data: bytes | memoryview) -> bool:
        """Send what the socket takes of ``data``, the rest stays; whether it took any."""
        try:
            sent = self._write(data)
        except WOULD_BLOCK as error:
            self._watch(_READ if isinstance(error, ssl.SSLWantReadError) else _WRITE)
            return False
        except OSError as error:
            self._lose(error)
            return False
        self.moved = self._clock()
        self._end_wait()
        self._pending -= sent
        self._rest = memoryview(data)[sent:] if sent < len(data) else b""
        return True

    def _next(self) -> bytes | None:
        """What is sent next."""
        if self._urgent is not None:
            data, self._urgent = self._urgent, None
            return data
        for source in (self._answers, self._source):
            if source is not None and (pulled := source.pull()) is not None:
                self._pending += len(pulled) + ITEM_COST
                return pulled
        data, self._last = self._last, b""
        return data or None

    def _catch_up(self) -> None:
        """All is sent: the socket is open again, or its output ends."""
        self._forget_pending()
        if self._send is _take_nothing:
            self._send = self._write
        elif self._ends:
            hang_up(self._socket)

    def _forget_pending(self) -> None:
        self._rest = self._urgent = self._answers = self._source = None
        self._last = b""
        self._pending = 0
        self._unwatch()
        self._end_wait()

    def _end_wait(self) -> None:
        if self._room is not None:
            self._room.set()

    # How it ends

    def finish(self, last: bytes, cut: Cut | None = None) -> None:
        """Send ``last`` after what waits; ignore what is sent later.

        With ``cut`` all that waits is dropped, except the rest of a partly sent frame.
        ``last`` must not be empty; without last bytes call ``end``.
        """
        if cut is not None and self._rest is not None:
            self._drop(self._rest, cut)
        if self._rest is None:
            self.send(last)
        else:
            self._last = last
            self._pending += len(last) + ITEM_COST
        self._send = len
        self._end_wait()

    def _drop(self, rest: bytes | memoryview, cut: Cut) -> None:
        """Drop what waits, except a partly sent frame and what TLS must be given again."""
        frames = rest.obj if isinstance(rest, memoryview) else rest
        assert isinstance(frames, bytes)
        sent = len(frames) - len(rest)
        end = cut(frames, min(sent + resent(self._socket), len(frames)))
        if end == sent:
            self._catch_up()
            return
        self._urgent = self._answers = self._source = None
        self._rest = frames[sent:end]
        self._pending = end - sent + ITEM_COST

    def end(self) -> None:
        """End the output once everything is sent; ignore what is sent later."""
        self._send = len
        self._ends = True
        if self._rest is None:
            hang_up(self._socket)

    def abort(self) -> None:
        """Shut the connection down at once; what was not sent is freed."""
        raw = raw_socket(self._socket)
        with suppress(OSError):  # gone already
            if self._rest is not None:  # so that the kernel frees its buffer too
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            raw.shutdown(socket.SHUT_RDWR)  # wakes the greenlet that reads
        self._send = len
        self._forget_pending()

    def release(self) -> None:
        """Drop the references to socket and owner; later offers are ignored."""
        self._send = self._write = len
        self._forget_pending()
        self._owner = None
