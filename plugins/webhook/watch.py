"""Watches the live state for conditions, and tells each that holds for long enough, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gevent.event import Event

from amiws_gevent.plugins import ServerInfo, StateChanges

from .._matching import ServerSet
from .condition import Condition

Tell = Callable[[Condition, ServerInfo, Mapping[str, Any]], None]
"""Told of a condition that holds, with the entity."""

_Name = tuple[int, str, str]  # server, kind, id


class _Holding:
    """A condition that holds for an entity."""

    def __init__(self, due: float) -> None:
        self.due = due
        self.told = False


class Watch:
    """``changed`` takes what changes, ``run`` is a greenlet that tells what has held long enough.

    A condition that has ended and holds again is told again, for the same entity after ``pause``
    seconds at the earliest.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        servers: ServerSet,
        tell: Tell,
        *,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conditions = conditions
        self._kinds = {condition.kind for condition in conditions}
        self._servers = servers
        self._tell = tell
        self._pause = pause
        self._clock = clock
        self._infos: dict[int, ServerInfo] = {}
        self._known: dict[_Name, dict[str, Any]] = {}
        self._holding: dict[tuple[int, _Name], _Holding] = {}
        self._quiet: dict[tuple[int, _Name], float] = {}  # until when
        self._wake = Event()

    def changed(self, changes: StateChanges, server: ServerInfo) -> None:
        """Of ``amiws_state_changed``."""
        if not self._servers.fits(server):
            return
        self._infos[server.id] = server
        if changes.whole:
            there = {_name(entity) for entity in changes.set}
            for name in [name for name in self._known if name[0] == server.id]:
                if name in there:
                    self._known[name] = {}
                else:
                    self._forget(name)
        for entity in changes.unset:
            self._forget(_name(entity))
        for entity in changes.set:
            if entity["kind"] in self._kinds:
                name = _name(entity)
                self._known[name] = {**self._known.get(name, {}), **entity}
                self._look_at(name)
        self.tell_due()
        self._wake.set()

    def run(self) -> None:
        """Tell what comes due, without an end."""
        while True:
            self._wake.clear()
            self._wake.wait(self.due_in())
            self.tell_due()

    def due_in(self) -> float | None:
        """Seconds until a condition has held long enough; None: there is none."""
        due = [one.due for one in self._holding.values() if not one.told]
        return max(0.0, min(due) - self._clock()) if due else None

    def tell_due(self) -> None:
        """Tell what has held long enough."""
        now = self._clock()
        self._quiet = {key: until for key, until in self._quiet.items() if until > now}
        for key, holding in list(self._holding.items()):
            if holding.told or holding.due > now:
                continue
            holding.told = True
            number, name = key
            self._quiet[key] = now + self._pause
            self._tell(self._conditions[number], self._infos[name[0]], self._known[name])

    def _look_at(self, name: _Name) -> None:
        fields = self._known[name]
        for number, condition in enumerate(self._conditions):
            if condition.kind != name[1] or not condition.fits(name[2]):
                continue
            key = (number, name)
            if not condition.holds(fields):
                self._holding.pop(key, None)
            elif key not in self._holding:
                due = self._clock() + condition.seconds
                self._holding[key] = _Holding(max(due, self._quiet.get(key, 0.0)))

    def _forget(self, name: _Name) -> None:
        self._known.pop(name, None)
        for number in range(len(self._conditions)):
            self._holding.pop((number, name), None)


def _name(entity: Mapping[str, Any]) -> _Name:
    return entity["server"], entity["kind"], entity["id"]
