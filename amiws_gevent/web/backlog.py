"""What waits for a client whose socket is blocked, and how a part of it is given up."""

from __future__ import annotations

from collections import deque

from amiws_gevent.ami import Kind, Message, encode_message, envelope_prefix
from amiws_gevent.web.frames import count_texts, frame_end, text_frame

ITEM_COST = 64
"""Bytes that one more buffer costs besides its own: the header of the object, what the
allocator rounds up, and its place in the backlog. A pong of two bytes costs as much."""

_PREFIX = envelope_prefix(Kind.EVENT, 0, "amiws-gevent", False)


def lost_frame(count: int) -> bytes:
    """What a client is told in the place of ``count`` messages."""
    event = Message(Kind.EVENT, [("Event", "MessagesDropped"), ("Count", str(count))])
    return text_frame(encode_message(_PREFIX, event))


class Losses:
    """What all clients with the policy `drop` have lost: ``messages``, in ``buffers``."""

    def __init__(self) -> None:
        self.messages = 0
        self.buffers = 0
        self._counted = b""
        self._count = 0

    def add(self, buffer: bytes) -> int:
        """One client does not get ``buffer``; how many messages are in it.

        All slow clients lose the same buffers one after another, so that the count of the
        last one is kept.
        """
        if buffer is not self._counted:
            self._counted, self._count = buffer, count_texts(buffer)
        self.messages += self._count
        self.buffers += 1
        return self._count


class Backlog(deque[bytes | memoryview]):
    """Buffers of whole frames in order; of the first a part may be sent (a memoryview).

    A burst may block all clients at each of its buffers, so it is made and filled as a deque
    is: without a constructor of its own and without a dictionary. All sizes that are
    returned are costs: bytes and ITEM_COST for each buffer.
    """

    __slots__ = ("_gap", "_notice", "_pong")

    _gap: int  # messages that are lost in the place of `_notice`, if there is one
    _notice: bytes
    _pong: bytes  # the last one that was put in

    def answer_ping(self, pong: bytes) -> int:
        """Send ``pong`` next, in the place of one that waits there already.

        Only the newest ping needs an answer (RFC 6455, section 5.5.3), and that is due as
        soon as possible: so two pongs wait at most, the one whose sending may have begun
        and the next. Returns by how much the backlog has grown.
        """
        if len(self) > 1 and self[1] is getattr(self, "_pong", None):
            grown = len(pong) - len(self[1])
            self[1] = pong
        else:
            grown = len(pong) + ITEM_COST
            self.insert(1, pong)
        self._pong = pong
        return grown

    def leave_out(self, count: int) -> int:
        """In the place of what would come next, tell that ``count`` messages are lost.

        Losses without anything between them are told in one sum, unless that may be on
        its way already: SSL_write has to be given again what it was given before.
        Returns by how much the backlog has grown.
        """
        if not count:
            return 0
        before = 0
        if len(self) > 1 and self[-1] is getattr(self, "_notice", None):
            before = len(self.pop()) + ITEM_COST
            count += self._gap
        self._gap, self._notice = count, lost_frame(count)
        self.append(self._notice)
        return len(self._notice) + ITEM_COST - before

    def give_up(self, again: int) -> int:
        """Drop all but the rest of a frame of which a part is sent; returns what it costs.

        ``again`` is how many bytes of the first buffer have to be sent as they are.
        """
        first = self[0]
        frames = first.obj if isinstance(first, memoryview) else first
        assert isinstance(frames, bytes)
        sent = len(frames) - len(first)
        rest = frames[sent : frame_end(frames, min(sent + again, len(frames)))]
        self.clear()
        if not rest:
            return 0
        self.append(rest)
        return len(rest) + ITEM_COST
