"""What collectors tell each other of their servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amiws_gevent.bus.api import UNREACHABLE, Caller
from amiws_gevent.collector import program as program_module
from amiws_gevent.collector.program import NOBODY, Entities, Program, Reports
from amiws_gevent.crossing import calls
from amiws_gevent.live import LiveState
from tests.support.actions import settle
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.hosts import ami_host
from tests.support.local_bus import LocalCalls, LocalReply

HOSTS = {number: ami_host(id=number, name=f"pbx{number}") for number in (1, 2, 3)}


def made() -> Program:
    program = Program(LiveState())
    program.own = {1}
    program.configure(HOSTS)
    return program


def entities(program: Program) -> dict[str, Mapping[str, Any]]:
    return program._store.of("server")


def test_who_has_the_program_knows_all_servers() -> None:
    program = made()
    assert entities(program) == {}
    program.begin({"2": {"name": "pbx2", "connection": "connected"}, "9": {"name": "gone"}})
    assert entities(program).keys() == {"2", "3"}, "its own are of its links"
    assert entities(program)["2"]["connection"] == "connected"
    nobody = entities(program)["3"]
    assert (nobody["connection"], nobody["connection_reason"]) == ("waiting", NOBODY)
    assert nobody["name"] == "pbx3"
    program.configure({1: HOSTS[1], 3: HOSTS[3], 4: ami_host(id=4, name="new")})
    assert entities(program).keys() == {"3", "4"}
    assert program.infos.keys() == {1, 3, 4}
    program.end()
    assert entities(program) == {}


def test_others_tell_of_theirs() -> None:
    program = made()
    assert not program.take({"2": (5, {"sync": "live"})}), "another collector has it yet"
    program.begin({})
    assert program.take({"2": (5, {"sync": "live"}), "1": (5, {"x": 1}), "9": (5, {"x": 1})})
    assert entities(program)["2"]["sync"] == "live"
    assert entities(program).keys() == {"2", "3"}
    program.take({"2": (4, {"sync": "stale"})})
    assert entities(program)["2"]["sync"] == "live", "who had it before tells it too late"
    program.take({"2": (6, {"sync": "syncing"})})
    assert entities(program)["2"]["sync"] == "syncing"


def test_a_server_that_leaves_stays_where_the_program_is() -> None:
    program = made()
    assert not program._live.stays(1)
    program.begin({})
    assert program._live.stays(1)
    assert not program._live.stays(9)


class Telling:
    """A collector that tells another one, whose lease has ``term``."""

    def __init__(self) -> None:
        self.bus: Caller = LocalCalls()
        self.term = 1
        self.entities: dict[str, tuple[int, Mapping[str, Any]]] | None = {}
        self.told: list[dict[str, Any]] = []
        self.common: list[Mapping[str, Any]] = []
        assert isinstance(self.bus, LocalCalls)
        self.bus.serve({calls.REPORT: self._take})
        self.clock = Clock()
        self.reports = Reports(self.bus, self._entities, self.common.append, clock=self.clock)

    def _entities(self) -> Entities | None:
        return self.entities

    def _take(self, data: bytes, reply: Any) -> None:
        assert isinstance(reply, LocalReply)
        assert reply.lease == "program"
        self.told.append(calls.decode(data)["servers"])
        reply.send(calls.encode(term=self.term, key="00"), last=True)


def test_what_has_changed_is_told_and_all_to_another_one() -> None:
    telling = Telling()
    first, second = {"a": 1}, {"a": 2}
    telling.entities = {"1": (7, first), "2": (7, second)}
    telling.reports.start()
    try:
        telling.reports.wake()
        until(lambda: len(telling.told) == 2)
        assert telling.told == [{"1": [7, first], "2": [7, second]}] * 2
        assert telling.common == [{"term": 1, "key": "00"}]
        telling.entities = {"1": (7, first), "2": (7, {"a": 3})}
        telling.reports.wake()
        until(lambda: len(telling.told) == 3)
        assert telling.told[2] == {"2": [7, {"a": 3}]}
        telling.term = 2
        telling.reports.wake()
        settle()
        assert len(telling.told) == 3, "nothing has changed"
        telling.clock.now += program_module.HEARTBEAT
        telling.reports.wake()
        until(lambda: len(telling.told) == 5)
        assert telling.told[3:] == [{}, {"1": [7, first], "2": [7, {"a": 3}]}]
        assert len(telling.common) == 2
        telling.entities = None  # it has the program itself
        telling.reports.wake()
        until(lambda: not telling.reports._told)
    finally:
        telling.reports.stop()
    assert len(telling.told) == 5


def test_what_was_not_heard_is_told_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(program_module, "RETRY", 0.01)
    telling = Telling()
    assert isinstance(telling.bus, LocalCalls)
    telling.bus.problem = UNREACHABLE
    telling.entities = {"1": (7, {"a": 1})}
    telling.reports.start()
    try:
        telling.reports.wake()
        until(lambda: len(telling.bus.asked) > 2)  # type: ignore[attr-defined]
        assert telling.told == []
        telling.bus.problem = ""
        until(lambda: telling.told)
    finally:
        telling.reports.stop()
