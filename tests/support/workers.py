"""A process that a supervisor keeps, without a process: its end and silence the test decides."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from amiws_gevent.errors import AmiwsError


class FakeProcess:
    """Serves at once, answers, and ends when it is killed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended = Event()
        self.silent = 0  # so often
        self.closed = False
        self.asked = 0
        self.signals: list[int] = []
        self.how = "it ended with status 1"
        self.error: AmiwsError | None = None
        self.obeys = True
        self.answer: Callable[[str, Any], Any] = lambda _method, _data: None
        """Of `ask`; may raise."""
        self.told: list[tuple[str, Any]] = []

    def begin(self) -> None:
        if self.error is not None:
            raise self.error

    def answers(self, timeout: float) -> bool:
        gevent.sleep(0)
        self.asked += 1
        self.silent = max(0, self.silent - 1)
        return not self.silent

    def signal(self, number: int) -> None:
        self.signals.append(number)
        if self.obeys or number == signal.SIGKILL:
            self.how = f"it was ended by {signal.Signals(number).name}"
            self.ended.set()

    def wait(self, timeout: float | None = None) -> bool:
        return self.ended.wait(timeout)

    def ending(self) -> str:
        return self.how

    def ask(self, method: str, data: Any = None, *, timeout: float) -> Any:
        self.told.append((method, data))
        return self.answer(method, data)

    def close(self) -> None:
        self.closed = True
