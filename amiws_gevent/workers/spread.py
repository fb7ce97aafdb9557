"""Spreads connections evenly over edges: one that has too many hands a new one to another.

The kernel gives connections to the listening sockets of edges by chance, and knows nothing of how
many an edge has. So each edge has a *place*: a counter in memory that all share, and a socket
through which it is handed connections (SCM_RIGHTS, unix(7)). The supervisor makes as many places
as there may be edges. It keeps them: what is handed to an edge that is being started again waits.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import termios
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from gevent import socket

from amiws_gevent.workers.handover import Seat

MOST_PLACES = 32
"""Places, if there are not more edges at the start. Each takes two descriptors of each process."""

TOO_MANY = 1.1
"""Times the mean: an edge that has more hands over ..."""

WORTH_IT = 8
"""... if another has so many fewer."""

QUEUE_BYTES = 1024 * 1024
"""What may wait for an edge. The kernel doubles it, caps it by net.core.wmem_max, and counts about
768 bytes for a connection: 2,700 of them at most, 550 where that sysctl has its default."""

_MESSAGE = b"\0"  # one byte, so that the bytes that wait are the connections that wait
_DESCRIPTOR = array.array("i", [0]).itemsize
_WORD = 8


class _Memory:
    """Two words for each place: whether it is in use, and the connections of its edge."""

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, 0)
        words = memoryview(self._map).cast("Q")
        middle = len(words) // 2
        self.used, self.counts = words[:middle], words[middle:]
        words.release()

    def close(self) -> None:
        self.used.release()
        self.counts.release()
        self._map.close()


class Places:
    """Those of all edges, kept by the supervisor; for ``edges`` from the start on."""

    def __init__(self, edges: int) -> None:
        number = max(edges, MOST_PLACES)
        self._descriptor = os.memfd_create("amiws-connections")
        os.ftruncate(self._descriptor, 2 * number * _WORD)
        self._memory = _Memory(self._descriptor)
        self._pairs = [_pair() for _ in range(number)]

    def take(self, number: int) -> Seat | None:
        """Let connections be handed to edge ``number``, from 0 on; None: it has no place."""
        if number >= len(self._pairs):
            return None
        self._memory.used[number] = 1
        ends = ((sends.fileno(), takes.fileno()) for sends, takes in self._pairs)
        return Seat(number, self._descriptor, tuple(ends))

    def ended(self, number: int) -> None:
        """The edge is gone, and with it its connections."""
        if number < len(self._pairs):
            self._memory.counts[number] = 0

    def spare(self, number: int) -> None:
        """Hand it no more connections."""
        if number < len(self._pairs):
            self._memory.used[number] = 0

    def release(self, number: int) -> None:
        """Nobody takes what waits there: its clients are to come again, and go to others."""
        self.spare(number)
        if number < len(self._pairs):
            while (waiting := _taken(self._pairs[number][1])) is not None:
                for descriptor in waiting:
                    os.close(descriptor)

    def close(self) -> None:
        """Give up all; what waits is closed with the last edge."""
        pairs, self._pairs = self._pairs, []
        for end in chain.from_iterable(pairs):
            end.close()
        self._memory.close()
        os.close(self._descriptor)


class Neighbours:
    """The other edges, as the one in ``seat`` sees them; of `web.acceptor.Spread`."""

    def __init__(self, seat: Seat) -> None:
        self._memory = _Memory(seat.memory)
        self._own = seat.number
        self._sending = [_inherited(sends) for sends, _ in seat.ends]
        self._taking = [_inherited(takes) for _, takes in seat.ends]

    def fileno(self) -> int:
        """Can be read when a connection was handed to this edge."""
        return self._taking[self._own].fileno()

    def count(self, connections: int) -> None:
        """Tell the others how many there are now."""
        self._memory.counts[self._own] = connections

    def receive(self) -> tuple[socket.socket, Any] | None:
        """A connection that was handed to this edge, and the address of its client."""
        for descriptor in _taken(self._taking[self._own]) or ():
            handed = socket.socket(fileno=descriptor)
            try:
                return handed, handed.getpeername()
            except OSError:  # the client has left
                handed.close()
        return None

    def hand_over(self, sock: socket.socket) -> bool:
        """Whether another edge gets the connection. Then it is to be closed here."""
        number = self._other()
        if number is None:
            return False
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))
        try:
            self._sending[number].sendmsg([_MESSAGE], [rights])
        except OSError:  # too many wait for it
            return False
        return True

    def _other(self) -> int | None:
        """The edge that is to have the next connection, if it is not this one."""
        used = [number for number, used in enumerate(self._memory.used) if used]
        if self._own not in used:
            return None
        counts = [self._memory.counts[number] + _waiting(self._taking[number]) for number in used]
        fewest = fewest_of(counts, used.index(self._own))
        return None if fewest is None else used[fewest]


def fewest_of(counts: Sequence[int], own: int) -> int | None:
    """Of edges that have so many connections, the one to which ``own`` hands over; or None."""
    fewest = min(range(len(counts)), key=counts.__getitem__)
    uneven = counts[own] * len(counts) > TOO_MANY * sum(counts)
    return fewest if uneven and counts[own] - counts[fewest] >= WORTH_IT else None


def _pair() -> tuple[socket.socket, socket.socket]:
    """An end to send to, and the one that takes."""
    sends, takes = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sends.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
    for end in (sends, takes):
        end.setblocking(False)
    return sends, takes


def _inherited(descriptor: int) -> socket.socket:
    made = socket.socket(fileno=descriptor)
    made.setblocking(False)
    return made


def _waiting(takes: socket.socket) -> int:
    """Connections that nobody has taken yet."""
    found = array.array("i", [0])
    fcntl.ioctl(takes.fileno(), termios.FIONREAD, found)
    return found[0]


def _taken(takes: socket.socket) -> Sequence[int] | None:
    """The descriptors of the next message; none in it if there was none left for it here. None:
    there is no message."""
    space = socket.CMSG_SPACE(_DESCRIPTOR)
    found = array.array("i")
    with suppress(BlockingIOError):
        message, parts, *_ = takes.recvmsg(1, space, socket.MSG_CMSG_CLOEXEC)
        for _level, _kind, data in parts:
            found.frombytes(data)
        return found if message else None
    return None
