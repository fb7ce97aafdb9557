"""What waits for a client whose socket is blocked: what becomes of one that is too slow.

Each is a source of an ``outlet``. All sizes are costs: bytes and ITEM_COST for each buffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from amiws_gevent.ami import Kind, Message, encode_message, envelope_prefix
from amiws_gevent.batch import Item

ITEM_COST = 64
"""Bytes that one more buffer costs besides its own: the header of the object, what the
allocator rounds up, and its place in the backlog. A pong of two bytes costs as much."""

_PREFIX = envelope_prefix(Kind.EVENT, 0, "amiws-gevent", False)


def lost_message(count: int) -> bytes:
    """What a client is told in the place of ``count`` messages, as JSON."""
    event = Message(Kind.EVENT, [("Event", "MessagesDropped"), ("Count", str(count))])
    return encode_message(_PREFIX, event)


class Losses:
    """What all clients with the policy `drop` have lost: ``messages``, in ``buffers``."""

    def __init__(self) -> None:
        self.messages = 0
        self.buffers = 0

    def add(self, messages: int) -> None:
        """One client does not get a buffer with as many messages."""
        self.messages += messages
        self.buffers += 1


class Backlog:
    """Keeps all in order; a client that would need more room has to go (`close`)."""

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
    """Keeps in order what there is room for; the client is told how much it lost (`drop`).

    Losses without anything between them are told in one sum, in the place of what is lost,
    by a message that ``frame`` makes a whole frame of. ``losses`` counts them.
    """

    __slots__ = ("_buffers", "_frame", "losses", "pending_bytes")

    def __init__(self, losses: Losses, frame: Callable[[bytes], bytes]) -> None:
        self.losses = losses
        self.pending_bytes = 0
        self._frame = frame
        self._buffers: deque[bytes | int] = deque()  # a number: as many messages are lost

    def push(self, item: Item, room: int, /) -> bool:
        """Keep ``item``, or the number of its messages if there is no room for it."""
        pending = self.pending_bytes + len(item.data) + ITEM_COST
        if pending <= room:
            self._buffers.append(item.data)
            self.pending_bytes = pending
        else:
            self.losses.add(item.messages)
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
        """The oldest, or a notice of what was lost in its place; None if there is none."""
        if not self._buffers:
            return None
        data = self._buffers.popleft()
        if isinstance(data, int):
            self.pending_bytes -= ITEM_COST
            return self._frame(lost_message(data))
        self.pending_bytes -= len(data) + ITEM_COST
        return data
