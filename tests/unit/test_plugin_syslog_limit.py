"""Lines in a time span."""

from __future__ import annotations

from amiws_plugins.syslog_events.limit import Limiter
from amiws_plugins.syslog_events.units import Rate

from tests.support.clock import Clock


def test_so_many_pass_and_the_others_are_counted() -> None:
    clock = Clock()
    limiter = Limiter(Rate(3, 60), clock)
    assert [limiter.allow() for _ in range(5)] == [True, True, True, False, False]
    assert limiter.suppressed == 2
    assert limiter.ends == 1060.0
    clock.now = 1059.9
    assert not limiter.allow()
    clock.now = 1060.0
    assert limiter.allow()
    assert limiter.ends == 1120.0
    assert limiter.take() == 3
    assert limiter.take() == 0
    assert limiter.suppressed == 0


def test_the_span_begins_with_a_line() -> None:
    clock = Clock()
    limiter = Limiter(Rate(1, 60), clock)
    clock.now = 5000.0
    assert limiter.allow()
    clock.now = 5059.0
    assert not limiter.allow()


def test_without_a_limit_all_pass() -> None:
    limiter = Limiter(Rate(0, 0), Clock())
    assert all(limiter.allow() for _ in range(10_000))
    assert limiter.take() == 0
