"""The processes of the program that there are to be, and what all of them are asked at once."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import gevent

from amiws_gevent.config import Source
from amiws_gevent.config.fields import COLLECTOR, EDGE
from amiws_gevent.errors import AmiwsError, StartError
from amiws_gevent.workers.keeper import Keeper
from amiws_gevent.workers.process import ProgramProcess

PREPARE_TIME = 30.0
"""Seconds in which a process has to have prepared a configuration."""

COMMIT_TIME = 10.0
"""Seconds to go over to it, or back."""

END_TIME = 4.8
"""Seconds for the orderly end of processes, which take `server.STOP_ALL_TIME` at most."""

KILL_TIME = 0.5
"""Seconds in which one that was killed is gone."""

_log = logging.getLogger("amiws_gevent.workers")

AllKeepers = Keeper[ProgramProcess]


class NotPreparedError(StartError):
    """Processes that have not prepared a configuration; a line for each reason."""


class Answer(NamedTuple):
    """Of one that was asked."""

    keeper: AllKeepers
    process: ProgramProcess
    data: Any
    error: AmiwsError | None

    @property
    def is_current(self) -> bool:
        """Whether the process that was asked is the one that serves now."""
        return self.process is self.keeper.process


class Team:
    """A collector, if ``collector``, and edges. ``make`` makes the keeper of one by its name."""

    def __init__(self, make: Callable[[str], AllKeepers], *, collector: bool, edges: int) -> None:
        self._make = make
        self.collector = make(COLLECTOR) if collector else None
        self.edges = [make(edge_name(number)) for number in range(1, edges + 1)]

    @property
    def keepers(self) -> Sequence[AllKeepers]:
        """Of all."""
        return [*([self.collector] if self.collector else []), *self.edges]

    def begin(self) -> None:
        """Start all; raises the StartError of one that cannot, at once."""
        for keeper in self.keepers:
            keeper.begin(must_serve=True)
        for first in gevent.iwait([keeper.first for keeper in self.keepers]):
            first.get()

    def resize(self, edges: int) -> Sequence[AllKeepers]:
        """Start edges until there are so many, or return those that are to end."""
        for number in range(len(self.edges) + 1, edges + 1):
            keeper = self._make(edge_name(number))
            self.edges.append(keeper)
            keeper.begin()
        surplus = self.edges[edges:]
        del self.edges[edges:]
        return surplus

    @property
    def well(self) -> bool:
        """Whether the collector and at least one edge answer."""
        collector = self.collector is None or self.collector.heard.is_set()
        return collector and any(edge.heard.is_set() for edge in self.edges)

    def ask(
        self, method: str, data_of: Callable[[str], Any] = lambda _: None, *, timeout: float
    ) -> list[Answer]:
        """Ask all that serve at once; ``data_of`` gives what each is asked, by its name."""
        asking = [
            gevent.spawn(ask_one, keeper, method, data_of(keeper.name), timeout=timeout)
            for keeper in self.keepers
            if keeper.process is not None
        ]
        return [each.get() for each in asking]

    def prepare(self, source_of: Callable[[str], Source]) -> Sequence[str]:
        """Have all that serve prepare a configuration; the names of those that have.

        Raises NotPreparedError if one has not; then all are as they were.
        """
        told = self.ask("prepare", lambda name: source_of(name).as_data(), timeout=PREPARE_TIME)
        reasons: dict[str, list[str]] = {}
        for answer in told:
            if answer.error is not None:
                reasons.setdefault(str(answer.error), []).append(answer.keeper.name)
        if reasons:
            self._settle("roll back")
            lines = (f"{text} ({', '.join(names)})" for text, names in reasons.items())
            raise NotPreparedError("\n".join(lines))
        return [answer.keeper.name for answer in told if answer.is_current]

    def commit(self) -> None:
        """Have all that have prepared it use it."""
        self._settle("commit")

    def _settle(self, step: str) -> None:
        for answer in self.ask(step, timeout=COMMIT_TIME):
            if answer.error is not None and answer.is_current:
                answer.keeper.replace(f"{step} of a configuration: {answer.error}")


def edge_name(number: int) -> str:
    """``edge-1`` is the first."""
    return f"{EDGE}-{number}"


def edge_number(name: str) -> int | None:
    """0 of the first edge; None of a collector."""
    kind, _, number = name.partition("-")
    return int(number) - 1 if kind == EDGE else None


def end_all(keepers: Iterable[Keeper[Any]]) -> None:
    """End processes, by force those that are not gone after END_TIME; waits for it."""
    ending = list(keepers)
    for keeper in ending:
        keeper.stop(signal.SIGTERM)
    end = time.monotonic() + END_TIME
    left = [keeper for keeper in ending if not keeper.join(max(0.0, end - time.monotonic()))]
    for keeper in left:
        _log.error("%s: it has not ended within %g s; ended by force", keeper.name, END_TIME)
        keeper.stop(signal.SIGKILL)
    for keeper in left:
        keeper.join(KILL_TIME)


def ask_one(keeper: AllKeepers, method: str, data: Any = None, *, timeout: float) -> Answer:
    """Ask the process that serves now; there is one."""
    process = keeper.process
    assert process is not None
    try:
        return Answer(keeper, process, process.ask(method, data, timeout=timeout), None)
    except AmiwsError as error:
        return Answer(keeper, process, None, error)
