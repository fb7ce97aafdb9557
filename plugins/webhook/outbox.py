"""What waits for a receiver: messages in order, bounded, cut into batches.

A batch that was tried stays as it is (the same messages, the same id) until the
receiver has taken or refused it, so that a receiver can tell a repeat by its id.
Past a bound the oldest go first: that batch, unless it is just on the wire, and
then the messages behind it. So one batch that a receiver chokes on cannot hold up
all others for ever.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from amiws_gevent.plugins import kit

from .settings import Settings

_Waiting = tuple[bytes, float]  # a message and when it came


@dataclass(frozen=True)
class Batch:
    """Messages that go out together. ``lost`` is how many went missing before them."""

    messages: tuple[bytes, ...]
    size: int
    lost: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def body(self) -> bytes:
        """``{"messages":[...],"lost":0}``, each message as clients got it."""
        return b'{"messages":[%b],"lost":%d}' % (b",".join(self.messages), self.lost)


class Outbox:
    """The queue of one receiver. ``put`` from anywhere, all else from its sender.

    The settings say when a batch is full, and how much may wait, the batch under way
    included. Bytes are those of the messages' JSON and a comma for each.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._waiting: kit.Outbox[_Waiting] = kit.Outbox(
            settings.queue_messages, settings.queue_bytes, _size
        )
        self._batch: Batch | None = None
        self._on_the_wire = False
        self.lost = 0
        """Messages that the receiver does not know to be missing yet."""

    def __len__(self) -> int:
        """Messages that wait, those of the batch under way included."""
        return len(self._waiting) + self._waiting.held

    @property
    def size(self) -> int:
        """Bytes that wait, those of the batch under way included."""
        return self._waiting.bytes + self._waiting.held_bytes

    def put(self, json: bytes) -> int:
        """Take a message; returns how many, old ones or itself, were dropped for room."""
        lost = self._put((json, self._clock()))
        self.lost += lost
        return lost

    def _put(self, item: _Waiting) -> int:
        size = _size(item)
        if size > self._settings.queue_bytes:  # never fits: nothing else need go for it
            return 1
        lost = 0
        if self._batch and not self._on_the_wire and not self._waiting.has_room(size):
            lost = len(self._finish().messages)
        return lost + self._waiting.put(item)

    def due_in(self) -> float | None:
        """Seconds until a batch is to go out, 0 for now; None while nothing waits."""
        if self._batch is not None:
            return 0.0
        waiting, settings = self._waiting, self._settings
        if not waiting:
            return None
        full = len(waiting) >= settings.batch_messages or waiting.bytes >= settings.batch_bytes
        return 0.0 if full else max(0.0, waiting.first()[1] + settings.batch_delay - self._clock())

    def take(self) -> Batch:
        """The batch to send now; there must be one. It is on the wire until it is told how it went.

        Tell with `delivered`, `refused` or `failed`.
        """
        if self._batch is None:
            self._batch = self._cut()
            self._waiting.held = len(self._batch.messages)
            self._waiting.held_bytes = self._batch.size
        self._on_the_wire = True
        return self._batch

    def delivered(self) -> None:
        """The receiver has the batch, and so knows of what was lost before it."""
        self.lost -= self._finish().lost

    def refused(self) -> None:
        """The receiver will never take the batch: it is dropped, and so lost."""
        self.lost += len(self._finish().messages)

    def failed(self) -> None:
        """The batch is to be tried again."""
        self._on_the_wire = False

    def _finish(self) -> Batch:
        batch = self._batch
        assert batch is not None
        self._batch = None
        self._waiting.held = self._waiting.held_bytes = 0
        return batch

    def _cut(self) -> Batch:
        """At least one message, whatever its size, and then what fits."""
        settings, waiting = self._settings, self._waiting
        messages: list[bytes] = []
        size = 0
        while waiting and len(messages) < settings.batch_messages:
            more = _size(waiting.first())
            if messages and size + more > settings.batch_bytes:
                break
            size += more
            messages.append(waiting.pop()[0])
        return Batch(tuple(messages), size, self.lost)


def _size(item: _Waiting) -> int:
    return len(item[0]) + 1
