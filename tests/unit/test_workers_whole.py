"""What is told of all processes together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from amiws_gevent.reload import LastReload
from amiws_gevent.workers.channel import NoAnswer
from amiws_gevent.workers.keeper import Keeper
from amiws_gevent.workers.team import Team, end_all
from amiws_gevent.workers.whole import KEEP_ROUNDS, Metrics, readiness_of_all
from tests.support.greenlets import until
from tests.support.workers import FakeProcess


class Site:
    """A team whose edges have counted ``gaps``."""

    def __init__(self) -> None:
        self.gaps = {"edge-1": 1, "edge-2": 2}
        self.silent: set[str] = set()
        self.metrics = Metrics(LastReload(True, 5.0), collector=True)
        self.team = Team(self._keeper, collector=True, edges=2)
        self.team.begin()
        self.redis = self._keeper("redis")
        self.redis.begin()
        self.redis.first.get()

    def _keeper(self, name: str) -> Any:
        def answer(_method: str, _data: Any) -> Any:
            if name in self.silent:
                raise NoAnswer("no answer")
            samples = [("amiws_gaps_total", {}, self.gaps.get(name, 0))]
            clients = [("amiws_subscriptions", {}, 1)]
            return [
                ("amiws_gaps", "Gaps.", "counter", samples),
                ("amiws_subscriptions", "Subscriptions.", "gauge", clients),
            ]

        def start() -> FakeProcess:
            made = FakeProcess(os.getpid())
            made.answer = answer
            return made

        keeper = Keeper(name, start)
        keeper.on_ended = lambda: self.metrics.ended(name)
        return keeper

    def render(self) -> list[str]:
        text, kind = self.metrics.render(self.team, [self.redis], "")
        assert kind.startswith("text/plain")
        return text.splitlines()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    end_all([*made.team.keepers, made.redis])


def test_all_are_asked_and_added(site: Site) -> None:
    lines = site.render()
    assert "amiws_gaps_total 3.0" in lines
    assert "amiws_subscriptions 3.0" in lines
    assert "amiws_config_last_reload_success_timestamp_seconds 5.0" in lines
    assert 'amiws_worker_up{process="edge-2"} 1.0' in lines
    assert 'amiws_worker_restarts_total{process="collector"} 0.0' in lines
    for name in ("supervisor", "redis"):
        assert any(f'process_resident_memory_bytes{{process="{name}"}}' in line for line in lines)


def test_one_that_is_silent_has_still_counted(site: Site) -> None:
    site.render()
    site.silent.add("edge-2")
    site.gaps["edge-1"] = 5
    assert "amiws_gaps_total 7.0" in site.render()


def test_one_that_died_has_still_counted(site: Site) -> None:
    keeper = site.team.edges[1]
    for _ in range(KEEP_ROUNDS):
        site.metrics.look(keeper)
    first = keeper.process
    assert isinstance(first, FakeProcess)
    first.ended.set()
    until(lambda: keeper.restarts == 1 and keeper.process not in (None, first))
    site.gaps["edge-2"] = 4
    lines = site.render()
    assert "amiws_gaps_total 7.0" in lines
    assert 'amiws_worker_restarts_total{process="edge-2"} 1.0' in lines


def told(up: bool = True, **more: Any) -> dict[str, Any]:
    bus = {"up": up, "reason": "" if up else "no Redis", "lag": 3}
    return {"listening": True, "servers": [], "audit": None, "bus": bus, **more}


def test_all_are_ready(site: Site) -> None:
    collector = told(servers=[{"id": 1}], audit={"writing": True})
    found = readiness_of_all(
        site.team, {"collector": collector, "edge-1": told(), "edge-2": told()}
    )
    assert found == {
        "listening": True,
        "servers": [{"id": 1}],
        "audit": {"writing": True},
        "bus": {"process": "supervisor", "up": True, "reason": "", "lag": 3, "restarts": 0},
    }


@pytest.mark.parametrize(
    ("answers", "up", "reason"),
    [
        ({"collector": told(), "edge-1": told()}, True, "edge-2: it is not there"),
        ({"edge-1": told(), "edge-2": told()}, False, "collector: it is not there"),
        ({"collector": told(), "edge-1": told(up=False)}, False, "edge-1: no Redis; edge-2"),
        ({"collector": told(up=False), "edge-1": told()}, False, "collector: no Redis"),
        ({}, False, "collector: it is not there"),
    ],
)
def test_some_are_not(site: Site, answers: dict[str, Any], up: bool, reason: str) -> None:
    found = readiness_of_all(site.team, answers)
    assert found["bus"]["up"] is up
    assert reason in found["bus"]["reason"]
    assert found["listening"] is any(name != "collector" for name in answers)
