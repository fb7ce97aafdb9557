"""The live model that hears a simulated PBX agrees with its lists at any moment."""

from __future__ import annotations

import random

import pytest

from amiws_gevent.simulator.pbx.repertoire import MIXED, Programme
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import Style
from tests.support.agreement import Listener
from tests.support.simulator import STARTED, STYLES
from tests.unit.test_simulator_pbx_simulation import interfere

pytestmark = pytest.mark.slow

by_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


def playing(style: Style, seed: int) -> Simulation:
    programme = Programme(MIXED.names, 0.6)
    return Simulation(style, started=STARTED, seed=seed, rate=1.0, programme=programme)


def drain(simulation: Simulation, listener: Listener) -> None:
    """What is under way ends, and nothing begins."""
    simulation.quiet()
    while simulation.next_due is not None:
        listener.hear(simulation.advance(simulation.next_due))


@by_style
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_model_agrees_with_the_lists_and_ends_empty(style: Style, seed: int) -> None:
    simulation, rng = playing(style, seed), random.Random(seed)
    simulation.advance(STARTED + 60)
    listener = Listener(simulation)
    listener.learn()
    while simulation.now < STARTED + 180:
        listener.hear(simulation.advance(simulation.now + rng.uniform(0.01, 4)))
        assert listener.differences() == []
    assert len(listener.ended) > 25
    drain(simulation, listener)
    assert listener.differences() == []
    assert listener.left() == []


@by_style
@pytest.mark.parametrize("seed", [4, 5])
def test_it_agrees_whatever_people_do_meanwhile(style: Style, seed: int) -> None:
    simulation, rng = playing(style, seed), random.Random(seed)
    listener = Listener(simulation)
    listener.learn()
    while simulation.now < STARTED + 150:
        listener.hear(simulation.advance(simulation.now + rng.uniform(0.01, 0.5)))
        interfere(simulation, rng)
        listener.hear(simulation.drain())
        if rng.random() < 0.15:
            assert listener.differences() == []
    drain(simulation, listener)
    assert listener.differences() == []
    assert listener.left() == []
