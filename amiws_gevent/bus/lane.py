"""Commands of others on their way to Redis, in order, several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from amiws_gevent.bus.connection import Away, Connection, Refusal
from amiws_gevent.bus.scripts import Command
from amiws_gevent.bus.worker import Health, Worker

MOST_WAITING = 32 * 1024 * 1024
"""Bytes of commands that wait for Redis."""

REPLY_TIME = 5.0
_IDLE = 1.0
_TOGETHER = 128
_TOGETHER_BYTES = 1024 * 1024

OnReply = Callable[[Any], None]
"""Gets the reply, or Away."""


class Lane(Worker):
    """Sends commands, and gives each reply to who has put the command.

    If Redis is away: with ``keep`` commands wait, and those whose reply was lost are sent once
    more. Without it they end with Away, which tells whether they may have been done.
    """

    def __init__(self, name: str, connection: Connection, health: Health, *, keep: bool) -> None:
        super().__init__(name, connection, health)
        self.waiting = 0
        """Bytes that wait for Redis."""
        self._keep = keep
        self._sent = 0
        self._commands: deque[tuple[Command, int, OnReply]] = deque()

    def put(self, command: Command, size: int, on_reply: OnReply) -> bool:
        """Queue a command of about ``size`` bytes. False if it cannot be taken."""
        if self.stopping or not (self.up or self._keep):
            return False
        if self.waiting and self.waiting + size > MOST_WAITING:
            return False
        self._commands.append((command, size, on_reply))
        self.waiting += size
        self.wake.set()
        return True

    def turn(self) -> float:
        some, size = 0, 0
        for _, one, _ in self._commands:
            if some == _TOGETHER or size > _TOGETHER_BYTES:
                break
            some, size = some + 1, size + one
        if not some:
            return _IDLE
        self._sent = some
        replies = self.connection.ask_all([self._commands[i][0] for i in range(some)])
        self._sent = 0
        refused = next((reply for reply in replies if isinstance(reply, Refusal)), None)
        if refused is not None and self._keep:
            raise Away(refused.reason)
        for reply in replies:
            self._taken()(Away(reply.reason) if isinstance(reply, Refusal) else reply)
        return 0.0

    def away(self, away: Away) -> None:
        if not self._keep:
            sent, self._sent = self._sent, 0
            for place in range(len(self._commands)):
                self._taken()(away if place < sent else Away(str(away)))

    def ending(self) -> None:
        while self._commands:
            self.turn()

    def _taken(self) -> OnReply:
        _, size, on_reply = self._commands.popleft()
        self.waiting -= size
        return on_reply
