"""What is set aside from the garbage collector, and that none of it stays for ever."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator

import pytest

from amiws_gevent.runtime.gc_freeze import GcFreeze
from tests.support.garbage import set_aside

pytestmark = pytest.mark.slow

EVERYTHING = 1 << 40  # objects, more than there can be


class Thing:
    """Something that can be in a cycle, and be watched."""

    def __init__(self) -> None:
        self.other: Thing | None = None


@pytest.fixture(autouse=True)
def only_when_told() -> Iterator[None]:
    """No collection but those that a test asks for."""
    gc.disable()
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def afterwards() -> Iterator[None]:
    """What was set aside before is so again."""
    yield
    set_aside()


def freezing(*, took: float, room: int = EVERYTHING) -> GcFreeze:
    """One by whose clock each collection takes ``took`` seconds."""
    times = itertools.count()
    return GcFreeze(lambda: next(times) * took, long=0.01, room=room)


def is_looked_at(thing: object) -> bool:
    """Whether collections look at it. The count of frozen objects goes down whenever one goes."""
    return any(one is thing for one in gc.get_objects())


def cycle() -> weakref.ref[Thing]:
    """Garbage that only a collection can find."""
    one, two = Thing(), Thing()
    one.other, two.other = two, one
    return weakref.ref(one)


def test_what_the_start_leaves_is_set_aside() -> None:
    before = gc.get_freeze_count()
    with freezing(took=1):
        assert gc.get_freeze_count() > before + 10_000


def test_what_a_long_collection_leaves_is_set_aside_and_freed_all_the_same() -> None:
    with freezing(took=1):
        things = [Thing() for _ in range(1000)]
        watched = weakref.ref(things[0])
        assert is_looked_at(things[0])
        gc.collect()
        assert not is_looked_at(things[0])
        things.clear()
        assert watched() is None


def test_what_a_short_one_leaves_is_not() -> None:
    with freezing(took=0.001):
        things = [Thing() for _ in range(1000)]
        before = gc.get_freeze_count()
        gc.collect()
        assert gc.get_freeze_count() <= before
        assert things


def test_no_collection_looks_at_many_however_many_there_are() -> None:
    looked_at: list[int] = []
    young = gc.get_threshold()[0]  # 700, or 2000 of Python 3.14

    def count(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            looked_at.append(sum(len(gc.get_objects(generation)) for generation in range(3)))

    with freezing(took=1):
        gc.callbacks.append(count)
        gc.enable()
        things = [Thing() for _ in range(600 * young)]
        gc.disable()
        gc.callbacks.remove(count)
    assert len(looked_at) > 10
    assert max(looked_at) < 45 * young
    assert things


def test_young_garbage_is_no_reason() -> None:
    with freezing(took=1):
        things = [Thing() for _ in range(1000)]
        before = gc.get_freeze_count()
        gc.collect(1)
        assert gc.get_freeze_count() <= before
        assert things


def test_garbage_in_what_is_set_aside_goes_once_there_is_much() -> None:
    with freezing(took=1, room=100):
        one, two = Thing(), Thing()
        one.other, two.other = two, one
        watched = weakref.ref(one)
        gc.collect()
        del one, two
        gc.collect()
        assert watched() is not None, "it is set aside"
        many = [Thing() for _ in range(gc.get_freeze_count() + 200)]
        gc.collect()
        assert gc.get_freeze_count() == 0, "all is to be looked through"
        gc.collect()
        assert watched() is None
        assert gc.get_freeze_count() > len(many), "and set aside again"


def test_garbage_goes_as_ever() -> None:
    with freezing(took=1):
        watched = cycle()
        gc.collect()
        assert watched() is None


def test_afterwards_collections_are_as_before_and_what_is_set_aside_stays_so() -> None:
    callbacks, thresholds = list(gc.callbacks), gc.get_threshold()
    with freezing(took=1):
        assert len(gc.callbacks) == len(callbacks) + 1
        assert gc.get_threshold() != thresholds
        before = gc.get_freeze_count()
    assert gc.callbacks == callbacks
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() > before - 1000
