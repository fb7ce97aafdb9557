"""What a PBX plays: which scenarios and when; whatever it is, the live model that hears it agrees
with its lists at any moment.
"""

from __future__ import annotations

import random

import pytest

from amiws_gevent.simulator.pbx.model import Script
from amiws_gevent.simulator.pbx.repertoire import EVERYDAY, MIXED, Programme, only
from amiws_gevent.simulator.pbx.scenarios import SCENARIOS, Scenario
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.stage import Stage
from amiws_gevent.simulator.pbx.style import STYLE_22, Style
from tests.support.agreement import Listener
from tests.support.simulator import EVERY, STARTED
from tests.unit.test_simulator_pbx_simulation import interfere

pytestmark = pytest.mark.slow

by_style = pytest.mark.parametrize("style", EVERY, ids=lambda style: style.name)


def playing(style: Style, seed: int) -> Simulation:
    programme = Programme(MIXED.names, 0.6)
    return Simulation(style, started=STARTED, seed=seed, rate=1.0, programme=programme)


def played(monkeypatch: pytest.MonkeyPatch, seed: int, programme: Programme) -> list[str]:
    """The scenarios that begin within half an hour, at six new calls a minute."""
    begun: list[str] = []

    def noting(scenario: Scenario) -> Scenario:
        def play(stage: Stage) -> Script:
            begun.append(scenario.name)
            return scenario.play(stage)

        return Scenario(scenario.name, scenario.told, play)

    fits = {name: scenario.fits(STYLE_22) for name, scenario in SCENARIOS.items()}
    with monkeypatch.context() as patch:
        patch.setattr(Scenario, "fits", lambda each, _: fits[each.name])
        for name, scenario in SCENARIOS.items():
            patch.setitem(SCENARIOS, name, noting(scenario))
        made = Simulation(STYLE_22, started=STARTED, seed=seed, rate=0.1, programme=programme)
        made.advance(STARTED + 1800)
    return begun


def test_the_same_seed_plays_the_same_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    first = played(monkeypatch, 1, MIXED)
    assert len(first) > 30
    assert played(monkeypatch, 1, MIXED) == first
    assert played(monkeypatch, 2, MIXED) != first


def test_each_scenario_is_played_before_one_is_played_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = played(monkeypatch, 1, only(tuple(SCENARIOS)))
    has = [name for name, scenario in SCENARIOS.items() if scenario.fits(STYLE_22)]
    assert sorted(begun[: len(has)]) == sorted(has)


def test_an_asterisk_that_has_none_of_them_is_quiet() -> None:
    made = Simulation(STYLE_22, started=STARTED, rate=2.0, programme=only(("meetme",)))
    assert made.advance(STARTED + 60) == []
    assert made.switch.calls == {}


def test_only_those_asked_for_are_played_at_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = played(monkeypatch, 1, only(("hold", "basic", "hold")))
    assert set(begun) == {"hold", "basic"}
    assert len(begun) == pytest.approx(180, rel=0.1)
    assert played(monkeypatch, 1, EVERYDAY) == []


def test_more_than_there_are_phones_for_have_to_wait() -> None:
    made = Simulation(STYLE_22, started=STARTED, rate=2.0, programme=only(("noanswer",)))
    for _ in range(100):
        made.advance(made.now + 0.5)
        callers = [c for c in made.switch.channels.values() if c.application == "Dial"]
        assert len(callers) <= len(made.scripts.troupes)
    assert len(callers) > 0


def test_a_scenario_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="'holt'"):
        only(["holt"])


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
    assert len(listener.fed.ended) > 25
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
