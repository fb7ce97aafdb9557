"""Queues for a client whose socket is blocked; each kind treats a slow client differently.

Each is a source of an ``outlet``. All sizes are costs: the bytes, plus ITEM_COST per buffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from amiws_gevent.ami import Kind, Message, encode_message, envelope_prefix
from amiws_gevent.batch import Item
from amiws_gevent.losses import Losses

ITEM_COST = 64
"""Bytes of memory that a buffer costs besides its content: the object's header, the allocator's
rounding, and its place in the queue. A pong of two bytes costs as much."""

_PREFIX = envelope_prefix(Kind.EVENT, 0, "amiws-gevent", False)


def lost_message(count: int) -> bytes:
    """The JSON that a client gets in place of ``count`` lost messages."""
    event = Message(Kind.EVENT, [("Event", "MessagesDropped"), ("Count", str(count))])
    return encode_message(_PREFIX, event)


class Backlog:
    """Keeps everything in order; when it is full, the client is closed (`close`)."""

    __slots__ = ("_buffers", "pending_bytes")

    def __init__(self) -> None:
        self._buffers: deque[bytes] = deque()
        self.pending_bytes = 0

    def push(self, item: Item, room: int, /) -> bool:
        """Keep ``item``; False if there is no room for it."""
        pending = self.pending_bytes + len(item.data) + ITEM_COST
        if pending > room:
            return False
        self._buffers.append(item.data)
        self.pending_bytes = pending
        return True

    def pull(self) -> bytes | None:
        """The oldest; None if there is none."""
        if not self._buffers:
            return None
        data = self._buffers.popleft()
        self.pending_bytes -= len(data) + ITEM_COST
        return data


class LossyBacklog:
    """Keeps in order what there is room for and drops the rest (`drop`).

    One message in place of consecutive losses tells the client how many messages it lost;
    ``frame`` turns that message into a frame. ``losses`` counts the losses, as those of ``user``.
    """

    __slots__ = ("_buffers", "_frame", "_user", "losses", "pending_bytes")

    def __init__(
        self, losses: Losses, frame: Callable[[bytes], bytes], user: str | None = None
    ) -> None:
        self.losses = losses
        self.pending_bytes = 0
        self._frame = frame
        self._user = user
        self._buffers: deque[bytes | int] = deque()  # a number: how many messages were lost here

    def push(self, item: Item, room: int, /) -> bool:
        """Keep ``item``, or the number of its messages if there is no room for it."""
        pending = self.pending_bytes + len(item.data) + ITEM_COST
        if pending <= room:
            self._buffers.append(item.data)
            self.pending_bytes = pending
        else:
            self.losses.add(item.messages, self._user)
            self._leave_out(item.messages)
        return True

    def _leave_out(self, messages: int) -> None:
        if not messages:
            return
        gap = self._buffers[-1] if self._buffers else None
        if isinstance(gap, int):
            self._buffers[-1] = gap + messages
        else:
            self._buffers.append(messages)
            self.pending_bytes += ITEM_COST

    def pull(self) -> bytes | None:
        """The oldest buffer, or the notice of a loss; None if there is none."""
        if not self._buffers:
            return None
        data = self._buffers.popleft()
        if isinstance(data, int):
            self.pending_bytes -= ITEM_COST
            return self._frame(lost_message(data))
        self.pending_bytes -= len(data) + ITEM_COST
        return data
