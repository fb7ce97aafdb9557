"""What all processes are asked at once; they are fakes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from amiws_gevent.config import Source
from amiws_gevent.errors import ListenError
from amiws_gevent.workers.channel import ChannelLost, NoAnswer
from amiws_gevent.workers.keeper import Keeper
from amiws_gevent.workers.team import NotPreparedError, Team, end_all
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.workers import FakeProcess


class Site:
    """A team, and the process of each name."""

    def __init__(self, edges: int = 2) -> None:
        self.processes: dict[str, FakeProcess] = {}
        self.team = Team(self._keeper, collector=True, edges=edges)
        self.team.begin()

    def _keeper(self, name: str) -> Any:
        def start() -> FakeProcess:
            made = self.processes[name] = FakeProcess(len(self.processes) + 1)
            return made

        return Keeper(name, start)

    def told(self, name: str) -> list[str]:
        return [method for method, _ in self.processes[name].told]


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    end_all(made.team.keepers)


def test_the_first_that_cannot_serve_ends_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """At once, also while another takes its time, and nothing else is started meanwhile."""
    started: list[str] = []

    def keeper(name: str) -> Any:
        def start() -> FakeProcess:
            started.append(name)
            made = FakeProcess(1)
            if name == "edge-1":
                made.error = ListenError("the port is taken")
                made.ended.set()
            else:
                made.begin = made.ended.wait  # type: ignore[assignment]  # until it is killed
            return made

        return Keeper(name, start)

    team = Team(keeper, collector=True, edges=1)
    with gevent.Timeout(WAIT), pytest.raises(ListenError, match="the port is taken"):
        team.begin()
    team.keepers[1].join(WAIT)
    assert sorted(started) == ["collector", "edge-1"]
    assert "another one starts" not in caplog.text
    end_all(team.keepers)


def source_of(name: str) -> Source:
    return Source(text=name)


def test_all_prepare_each_its_own_and_commit(site: Site) -> None:
    assert list(site.team.prepare(source_of)) == ["collector", "edge-1", "edge-2"]
    site.team.commit()
    for name, process in site.processes.items():
        assert [method for method, _ in process.told] == ["prepare", "commit"]
        assert process.told[0][1]["text"] == name


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ListenError("the port is taken"), "the port is taken (edge-2)"),
        (NoAnswer("no answer within 30 s"), "no answer within 30 s (edge-2)"),
        (ChannelLost("the process has ended"), "the process has ended (edge-2)"),
    ],
)
def test_if_one_does_not_all_go_back(site: Site, error: Exception, told: str) -> None:
    def answer(method: str, _data: Any) -> None:
        if method == "prepare":
            raise error

    site.processes["edge-2"].answer = answer
    with pytest.raises(NotPreparedError) as caught:
        site.team.prepare(source_of)
    assert str(caught.value) == told
    for name in site.processes:
        assert site.told(name) == ["prepare", "roll back"]
    assert len(site.processes["edge-2"].signals) == 0


def test_one_reason_of_all_is_told_once(site: Site) -> None:
    def answer(_method: str, _data: Any) -> None:
        raise ListenError("no")

    for process in site.processes.values():
        process.answer = answer
    with pytest.raises(NotPreparedError, match=r"^no \(collector, edge-1, edge-2\)$"):
        site.team.prepare(source_of)


def test_one_that_does_not_commit_is_replaced(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    def answer(method: str, _data: Any) -> None:
        if method == "commit":
            raise NoAnswer("no answer within 10 s")

    before = site.processes["edge-1"]
    before.answer = answer
    site.team.prepare(source_of)
    site.team.commit()
    assert before.signals == [signal.SIGKILL]
    until(lambda: site.processes["edge-1"] is not before)
    assert "edge-1: commit of a configuration: no answer within 10 s" in caplog.text


def test_one_that_is_away_is_not_asked(site: Site) -> None:
    gone = site.processes["edge-1"]
    gone.ended.set()
    until(lambda: site.team.edges[0].process is None)
    assert list(site.team.prepare(source_of)) == ["collector", "edge-2"]
    assert gone.told == []


def test_more_and_fewer(site: Site) -> None:
    assert site.team.resize(3) == []
    until(lambda: site.team.edges[2].process is not None)
    surplus = site.team.resize(1)
    assert [keeper.name for keeper in surplus] == ["edge-2", "edge-3"]
    end_all(surplus)
    assert [keeper.name for keeper in site.team.keepers] == ["collector", "edge-1"]
    assert site.processes["edge-3"].signals == [signal.SIGTERM]
    assert site.processes["edge-1"].signals == []


def test_it_is_well_while_the_collector_and_an_edge_answer(site: Site) -> None:
    until(lambda: site.team.well)
    site.team.edges[0].heard.clear()
    assert site.team.well
    site.team.edges[1].heard.clear()
    assert not site.team.well
    site.team.edges[1].heard.set()
    site.team.keepers[0].heard.clear()
    assert not site.team.well


def test_who_does_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("amiws_gevent.workers.team.END_TIME", 0.001)
    monkeypatch.setattr("amiws_gevent.workers.team.KILL_TIME", WAIT)
    site = Site()
    site.processes["edge-1"].obeys = False
    end_all(site.team.keepers)
    assert site.processes["edge-1"].signals == [signal.SIGTERM, signal.SIGKILL]
    assert site.processes["edge-1"].closed
    assert "edge-1: it has not ended within 0.001 s; ended by force" in caplog.text
