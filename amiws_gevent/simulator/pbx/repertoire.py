"""Which scenarios a PBX plays, in which order, and with whose phones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx.company import Troupe
from amiws_gevent.simulator.pbx.model import Call, Script
from amiws_gevent.simulator.pbx.scenarios import SCENARIOS, Scenario
from amiws_gevent.simulator.pbx.scripts import Scripts
from amiws_gevent.simulator.pbx.stage import Stage, Start


@dataclass(frozen=True)
class Programme:
    """``share`` of all new calls, from 0 to 1, are scenarios with these ``names``."""

    names: tuple[str, ...]
    share: float


EVERYDAY: Final = Programme((), 0.0)
"""Calls of a company as they come, and no scenario."""

MIXED: Final = Programme(tuple(SCENARIOS), 0.3)
"""All scenarios among everyday's calls."""


def only(names: Sequence[str]) -> Programme:
    """These scenarios and nothing else. Raises ValueError for one that there is not."""
    for name in names:
        if name not in SCENARIOS:
            raise ValueError(f"there is no scenario {name!r}")
    return Programme(tuple(dict.fromkeys(names)), 1.0)


class Repertoire:
    """Plays the scenarios of a programme: each once in a random order, then all again."""

    def __init__(
        self, programme: Programme, scripts: Scripts, rng: random.Random, start: Start
    ) -> None:
        self._programme = programme
        self._scripts = scripts
        self._rng = rng
        self._start = start
        self._deck: list[Scenario] = []
        self._booked: dict[str, list[Call]] = {}

    def takes(self) -> bool:
        """Whether the next call is one of the scenarios."""
        share = self._programme.share
        return share > 0 and (share >= 1 or self._rng.random() < share)

    def next_call(self, call: Call) -> Script:
        """The next scenario, once the phones of a troupe are free."""
        scenario = self._draw()
        if scenario is None:
            return
        while (troupe := self._free_troupe()) is None:
            yield 1.0
        stage = Stage(self._scripts, self._start, call, troupe)
        self._booked[troupe.queue.name] = stage.calls
        for phone in troupe.phones:
            phone.refuses = ""
        yield from scenario.play(stage)

    def _draw(self) -> Scenario | None:
        """None if this Asterisk can play none of them."""
        if not self._deck:
            all_ = (SCENARIOS[name] for name in self._programme.names)
            self._deck = [each for each in all_ if each.fits(self._scripts.switch.style)]
            self._rng.shuffle(self._deck)
        return self._deck.pop() if self._deck else None

    def _free_troupe(self) -> Troupe | None:
        for troupe in self._scripts.troupes:
            calls = self._booked.get(troupe.queue.name, [])
            if all(call.ended for call in calls) and all(phone.free for phone in troupe.phones):
                return troupe
        return None
