"""What systemd's watchdog is told, and when it is not."""

from __future__ import annotations

from types import SimpleNamespace

import gevent
import pytest

from amiws_gevent.runtime import alive
from amiws_gevent.runtime.alive import ALIVE, tell_alive
from tests.support.greenlets import until


def test_nobody_wants_to_know() -> None:
    tell_alive(None)


def test_it_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    # Of this module alone: greenlets that other tests have left would not sleep any more.
    monkeypatch.setattr(alive, "gevent", SimpleNamespace(sleep=pauses.append))
    told: list[str] = []

    def tell(what: str) -> None:
        told.append(what)
        if len(told) == 3:
            raise gevent.GreenletExit

    greenlet = gevent.spawn(tell_alive, 30.0, tell)
    greenlet.join()
    assert told == [ALIVE] * 3
    assert pauses == [15.0] * 2


def test_while_others_hold_the_loop_nothing_is_told() -> None:
    """Greenlets that run one after the other without a poll are no turn of the loop."""
    told: list[str] = []
    polls = 30
    greenlet = gevent.spawn(tell_alive, 30.0, told.append)
    for _ in range(polls):
        gevent.sleep(0)  # the queue of gevent alone: no socket is polled for 50 of these
        assert not told
    until(lambda: told)
    greenlet.kill()
