"""A scenario of the simulated PBX by itself, and what a live model that hears it tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pytest

from amiws_gevent.simulator.pbx.repertoire import only
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import Style
from tests.support.agreement import Listener
from tests.support.simulator import EVERY, STARTED
from tests.support.state import line

BEGINNING: Final = "901 -> 902 ringing"
"""How the first call of most stories begins."""

by_style = pytest.mark.parametrize("style", EVERY, ids=lambda style: style.name)


@dataclass
class Told:
    """``calls`` has all calls at each moment that shows others than the one before."""

    calls: list[str]
    listener: Listener
    packets: list[str]

    def only(self, known: Sequence[str]) -> list[str]:
        """Without the moments in which a phone is only dialled, and without the beginning."""
        found = [calls for calls in self.calls if calls in known and calls != BEGINNING]
        return [calls for before, calls in pairwise(["", *found]) if calls != before]


def tell(style: Style, name: str) -> Told:
    """Play it. Fails where the model and the lists of the PBX differ, or something is left."""
    made = Simulation(style, started=STARTED, rate=0.001, programme=only([name]))
    listener = Listener(made)
    listener.learn()
    at_first = made.switch.told_devices.copy()
    calls, packets = [""], list[str]()
    due: float | None = STARTED
    while due is not None:
        happened = made.advance(due)
        packets += happened
        listener.hear(happened)
        made.quiet()
        assert listener.differences() == []
        calls.append(_seen(listener))
        due = made.next_due
    assert listener.left() == []
    assert (made.switch.channels, made.switch.bridges, made.switch.calls) == ({}, {}, {})
    assert set(made.switch.told_devices.values()) <= {"NOT_INUSE", *at_first.values()}
    return Told([after for before, after in pairwise(calls) if after != before], listener, packets)


def _seen(listener: Listener) -> str:
    calls = sorted(line(dict(call)) for call in listener.fed.store.of("call").values())
    return " | ".join(call.replace("+", "") for call in calls)
