"""When a receiver is tried again: the waits and states, by a clock of the test's own."""

from __future__ import annotations

import pytest
from amiws_plugins.webhook.circuit import Circuit, State

from tests.support.webhook import Policy

POLICY = Policy(
    circuit_failures=3,
    retry_delay=1.0,
    retry_delay_max=4.0,
    circuit_cooldown=30.0,
    circuit_cooldown_max=100.0,
)


class World:
    """A circuit with its clock, and chance that always draws the highest."""

    def __init__(self, policy: Policy = POLICY, chance: float = 1.0) -> None:
        self.now = 1000.0
        self.chance = chance
        self.circuit = Circuit(policy, lambda: self.now, lambda: self.chance)

    def fail(self, retry_after: float = 0.0) -> float:
        """Wait out the pause, fail, and return the next pause."""
        self.now += self.circuit.wait()
        self.circuit.begin()
        self.circuit.failed(retry_after)
        return self.circuit.wait()


def test_the_first_attempt_waits_for_nothing() -> None:
    world = World()
    assert world.circuit.wait() == 0
    assert world.circuit.state is State.CLOSED


def test_waits_double_up_to_their_bound() -> None:
    world = World(Policy(10, 1.0, 5.0, 30.0, 100.0))
    assert [world.fail() for _ in range(5)] == [1, 2, 4, 5, 5]


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_the_jitter_is_full(chance: float) -> None:
    world = World(Policy(10, 1.0, 60.0, 30.0, 100.0), chance)
    assert [world.fail() for _ in range(3)] == pytest.approx([chance, 2 * chance, 4 * chance])


def test_a_long_row_of_failures_overflows_nothing() -> None:
    world = World(Policy(10**6, 1.0, 60.0, 30.0, 100.0))
    for _ in range(5000):
        assert world.fail() <= 60


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    world = World()
    world.fail()
    world.fail()
    assert world.circuit.state is State.CLOSED
    assert world.fail() == 30
    assert world.circuit.state is State.OPEN


def test_a_success_between_starts_the_row_again() -> None:
    world = World()
    world.fail()
    world.fail()
    world.circuit.begin()
    world.circuit.succeeded()
    assert world.circuit.wait() == 0
    assert world.fail() == 1
    assert world.circuit.state is State.CLOSED


def test_half_open_after_the_cool_down_and_open_for_longer_each_time() -> None:
    world = World()
    for _ in range(3):
        world.fail()
    world.now += 30
    world.circuit.begin()
    assert world.circuit.state is State.HALF_OPEN
    world.circuit.failed(0.0)
    assert world.circuit.state is State.OPEN
    assert world.circuit.wait() == 60
    assert world.fail() == 100
    assert world.fail() == 100


def test_a_success_closes_it_and_the_next_cool_down_is_short_again() -> None:
    world = World()
    for _ in range(5):
        world.fail()
    world.now += world.circuit.wait()
    world.circuit.begin()
    world.circuit.succeeded()
    assert world.circuit.state is State.CLOSED
    assert world.circuit.failures == 0
    assert [world.fail() for _ in range(3)] == [1, 2, 30]


@pytest.mark.parametrize(("asked", "pause"), [(20.0, 20.0), (0.5, 1.0)])
def test_retry_after_is_a_lower_bound(asked: float, pause: float) -> None:
    assert World().fail(asked) == pause


def test_retry_after_is_one_for_an_open_circuit_too() -> None:
    world = World()
    world.fail()
    world.fail()
    assert world.fail(200.0) == 200
