"""What an edge has of the audit: the collector is told, and asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.actions import ActionProblem
from amiws_gevent.audit.trail import READ_AGAIN, Trail
from amiws_gevent.bus.api import UNKNOWN, UNREACHABLE
from amiws_gevent.edge import trail as edge_trail
from amiws_gevent.edge.trail import RemoteTrail
from tests.support.actions import ALICE, settle
from tests.support.answering import CollectorOf
from tests.support.audit_place import Place
from tests.support.local_bus import LocalCalls

WRITING = {"writing": True, "refusing": False, "reason": ""}
QUERY: dict[str, Any] = {"after": 0, "before": 2**53, "what": "", "user": "", "action": ""}


class _Noting(Trail):
    """A collector's audit that notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[Any, ...]] = []
        self.asked: list[dict[str, Any]] = []

    def refused(self, client: Any, code: str, reason: str, **more: Any) -> None:
        self.noted.append(("refused", client, code, reason, more))

    def login(self, address: str, user: str | None, how: str, refused: str) -> None:
        self.noted.append(("login", address, user, how, refused))

    def logout(self, address: str, user: str | None, how: str) -> None:
        self.noted.append(("logout", address, user, how))

    def read(self, client: Any, chosen: Any) -> None:
        self.noted.append(("read", client, chosen))

    def read_refused(self, client: Any, reason: str, more: int = 0) -> None:
        self.noted.append(("read_refused", client, reason, more))

    def last(self, number: int, **query: Any) -> dict[str, Any] | None:
        self.asked.append({"number": number, **query})
        return {**WRITING, "items": [{"seq": 7, "time": "2026-11-29T08:32:57.123Z"}]}


@pytest.fixture
def noted() -> _Noting:
    return _Noting()


@pytest.fixture
def bus(noted: _Noting) -> LocalCalls:
    made = LocalCalls()
    made.serve(CollectorOf({}, noted).methods)
    return made


def test_there_is_an_audit_where_the_configuration_has_one(bus: LocalCalls, tmp_path: Path) -> None:
    place = Place(tmp_path)
    trail = RemoteTrail(bus, lambda: ["program"])
    change = trail.prepare(place.settings())
    assert not trail.on
    change.finish()
    assert trail.on
    assert not list(place.file.parent.iterdir()), "the collector's files are its own"
    trail.prepare(None).finish()
    assert not trail.on


def test_logins_and_refusals_are_told(bus: LocalCalls, noted: _Noting) -> None:
    trail = RemoteTrail(bus, lambda: ["program"])
    trail.login("192.0.2.1", "bob", "digest", "")
    trail.login("192.0.2.1", "bob", "digest", "")  # the same counts once, as in one process
    trail.logout("192.0.2.1", "bob", "digest")
    trail.refused(
        ALICE,
        "not_allowed",
        "no",
        name="Ping",
        headers=(("Action", "Ping"), ("A", "1")),
        servers=(1,),
    )
    assert trail.waiting == 3
    settle()
    login, logout, refused = noted.noted
    assert login == ("login", "192.0.2.1", "bob", "digest", "")
    assert logout == ("logout", "192.0.2.1", "bob", "digest")
    assert refused[1:4] == (ALICE, "not_allowed", "no")
    assert refused[4]["headers"] == [["Action", "Ping"], ["A", "1"]]
    assert refused[4]["servers"] == [1]
    settle()
    assert trail.waiting == 0
    assert trail.counts == (0, 0, 0)


def test_who_reads_it_is_told(bus: LocalCalls, noted: _Noting) -> None:
    trail = RemoteTrail(bus, lambda: ["program"])
    for _ in range(3):
        trail.read(ALICE, {"what": "login"})
    settle()
    assert noted.noted == [("read", ALICE, {"what": "login"})]


def test_who_may_not_read_it_is_told(
    bus: LocalCalls, noted: _Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = RemoteTrail(bus, lambda: ["program"])
    for _ in range(3):
        trail.read_refused(ALICE, "no")
    now = trail.clock() + READ_AGAIN
    monkeypatch.setattr(trail._refused_reads, "_clock", lambda: now)
    trail.read_refused(ALICE, "no")
    settle()
    assert noted.noted == [("read_refused", ALICE, "no", 0), ("read_refused", ALICE, "no", 2)]


def test_what_cannot_be_told_is_counted(
    bus: LocalCalls, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = RemoteTrail(bus, lambda: ["program"])
    bus.problem = UNREACHABLE
    trail.logout("192.0.2.1", "bob", "digest")
    settle()
    assert trail.counts == (0, 0, 1)
    assert "could not be told of a logout" in caplog.text
    monkeypatch.setattr(edge_trail, "MOST_WAITING", 1)
    trail.logout("192.0.2.1", "bob", "digest")
    trail.logout("192.0.2.1", "eve", "digest")
    assert trail.untold == 2
    settle()
    assert (trail.untold, trail.waiting) == (3, 0)


def test_who_reads_the_audit_reads_that_of_the_collector(bus: LocalCalls, noted: _Noting) -> None:
    trail = RemoteTrail(bus, lambda: ["program"])
    told = trail.last(5, **{**QUERY, "user": "bob"})
    assert told is not None
    (record,) = told["items"]
    assert (record["number"], record["collector"], record["time"][:4]) == (7, "host:7", "2026")
    assert {**told, "items": []} == {**WRITING, "items": []}
    assert noted.asked[0]["user"] == "bob"
    bus.problem = UNKNOWN
    with pytest.raises(ActionProblem) as caught:
        trail.last(5, **QUERY)
    assert caught.value.code == "audit_unavailable"


def test_collectors_that_do_not_answer_are_told_of(bus: LocalCalls) -> None:
    bus.away = {"server-2"}
    told = RemoteTrail(bus, lambda: ["program", "server-2"]).last(5, **QUERY)
    assert told is not None
    assert told["reason"] == "1 of 2 collectors do not answer"
    assert len(told["items"]) == 1
    told = RemoteTrail(bus, lambda: ["program", "server-1"]).last(5, **QUERY)
    assert told is not None
    assert len(told["items"]) == 1, "one that has two leases is told once"
    with pytest.raises(ActionProblem):
        RemoteTrail(bus, list).last(5, **QUERY)
