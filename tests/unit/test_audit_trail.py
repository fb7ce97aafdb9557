"""What the program records, and how it goes over from one audit to another."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.audit import trail as trail_module
from amiws_gevent.audit import writer
from amiws_gevent.audit.files import Unfit
from amiws_gevent.audit.ledger import Ledger
from amiws_gevent.audit.trail import Trail
from amiws_gevent.errors import AuditError
from amiws_gevent.plugins.api import ClientInfo
from tests.support.audit_place import Place
from tests.support.clock import Clock
from tests.support.greenlets import until

ANN = ClientInfo("192.0.2.7:5001", "ann", "v2")
PAUSE = [("Action", "QueuePause"), ("Interface", "SIP/1"), ("Variable", "PIN=3")]


class Made:
    """A trail with an audit."""

    def __init__(self, place: Place, **more: Any) -> None:
        self.place = place
        self.clock = Clock()
        self.trail = Trail(clock=self.clock)
        self.trail.servers = lambda: {1: "pbx1"}
        self.trail.prepare(place.settings(**more)).finish()

    def told(self) -> list[dict[str, Any]]:
        """All but the first, once all is written, without what differs from run to run."""
        until(lambda: self.trail.waiting == 0)
        self.trail.stop(20)
        assert self.place.verify().sound
        return [
            {name: value for name, value in record.items() if name not in ("seq", "time", "mac")}
            for record in self.place.told()
            if record["what"] not in ("begin", "stop")
        ]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def made(place: Place) -> Iterator[Made]:
    one = Made(place)
    yield one
    one.trail.stop(20)


def test_an_action_and_what_came_of_it(made: Made) -> None:
    made.trail.roles_of = lambda client: ("agent",) if client.user == "ann" else ()
    audited = made.trail.action(ANN, "QueuePause", PAUSE, [1, 2])
    assert audited.wait() == ""
    assert made.place.of("action"), "it is written before anybody sends it"
    made.clock.now += 0.25
    audited.result(1, "answered")
    audited.result(2, "unreachable", "not connected")
    action, first, second = made.told()
    ref = action.pop("ref")
    assert action == {
        "what": "action",
        "allowed": True,
        "user": "ann",
        "address": "192.0.2.7:5001",
        "roles": ["agent"],
        "view": "v2",
        "action": "QueuePause",
        "arguments": {"Interface": "SIP/1", "Variable": "PIN=[removed]"},
        "servers": [{"id": 1, "name": "pbx1"}, {"id": 2, "name": None}],
    }
    assert first == {"what": "reply", "ref": ref, "server": 1, "outcome": "answered", "ms": 250.0}
    assert (second["ref"], second["reason"]) == (ref, "not connected")


def test_each_action_has_a_number_of_its_own_also_after_a_restart(place: Place) -> None:
    refs = []
    for _ in range(2):
        made = Made(place)
        for _ in range(3):
            made.trail.action(ANN, "Ping", [("Action", "Ping")], [1])
        made.trail.stop(20)
    refs = [record["ref"] for record in place.of("action")]
    assert len(set(refs)) == len(refs) == 6


def test_refused_actions(made: Made) -> None:
    made.trail.refused(ANN, "not_allowed", "no", name="Ping", headers=PAUSE, servers=[1])
    made.trail.refused(ANN, "bad_request", "no JSON")
    known, unknown = made.told()
    assert (known["allowed"], known["code"], known["reason"]) == (False, "not_allowed", "no")
    assert known["action"] == "Ping"
    assert "ref" not in known
    assert "action" not in unknown
    assert "arguments" not in unknown


def test_refusals_without_end_are_told_once_a_second_and_counted(made: Made) -> None:
    bob = ClientInfo("192.0.2.8:1", "bob", "v2")
    for _ in range(50):
        made.trail.refused(ANN, "actions_too_fast", "slow down", repeats=True)
    made.trail.refused(bob, "actions_too_fast", "slow down", repeats=True)
    made.clock.now += 1
    made.trail.refused(ANN, "actions_too_fast", "slow down", repeats=True)
    told = made.told()
    assert [(record["user"], record.get("more")) for record in told] == [
        ("ann", None),
        ("bob", None),
        ("ann", 49),
    ]


def test_logins(made: Made) -> None:
    for _ in range(3):
        made.trail.login("192.0.2.7", "ann", "digest", "")
    made.trail.login("192.0.2.8", "ann", "digest", "")
    made.clock.now += trail_module.LOGIN_AGAIN
    made.trail.login("192.0.2.7", "ann", "digest", "")
    for _ in range(3):
        made.trail.login("192.0.2.7", "eve", "digest", "wrong password")
    made.clock.now += 1
    made.trail.login("192.0.2.7", "eve", "digest", "wrong password")
    told = made.told()
    assert [(one["address"], one["allowed"], one.get("more")) for one in told] == [
        ("192.0.2.7", True, None),
        ("192.0.2.8", True, None),
        ("192.0.2.7", True, None),
        ("192.0.2.7", False, None),
        ("192.0.2.7", False, 2),
    ]
    assert told[-1]["reason"] == "wrong password"


def test_a_login_has_the_roles_and_a_refused_one_tells_of_none(made: Made) -> None:
    made.trail.roles_of = lambda identity: ("agent",) if identity.user == "ann" else ()
    made.trail.login("192.0.2.7", "ann", "digest", "")
    made.trail.login("192.0.2.7", "ann", "digest", "wrong password")
    made.trail.logout("192.0.2.7", "ann", "digest")
    assert [(one["what"], one.get("roles")) for one in made.told()] == [
        ("login", ["agent"]),
        ("login", None),
        ("logout", None),
    ]


def test_who_reads_it(made: Made) -> None:
    """Pages, and who looks every three seconds, as one for an hour; filters without end too."""
    made.trail.roles_of = lambda client: ("auditor",) if client.user == "ann" else ()
    for _ in range(20):
        made.trail.read(ANN, {})
        made.trail.read(ANN, {"user": "bob"})
    made.clock.now += trail_module.READ_AGAIN
    made.trail.read(ANN, {})
    for number in range(2 * trail_module.MOST_READS):
        made.trail.read(ANN, {"user": f"u{number}"})
    told = made.told()
    read = {"what": "read", "allowed": True, "user": "ann", "address": "192.0.2.7:5001"}
    read |= {"roles": ["auditor"], "view": "v2"}
    assert told[:3] == [read, {**read, "filter": {"user": "bob"}}, read]
    assert len(told) <= trail_module.MOST_READS + 4


def test_who_may_not_read_it(made: Made) -> None:
    """As one for an hour, with how many there were: nobody fills the disk by trying."""
    for tries in (1, 20):
        for _ in range(tries):
            made.trail.read_refused(ANN, "no")
        made.clock.now += trail_module.READ_AGAIN
    made.trail.read_refused(ANN, "no", more=5)
    for number in range(2 * trail_module.MOST_READS):
        made.trail.read_refused(ClientInfo(f"192.0.2.7:{number}", "eve", "http"), "no")
    made.trail.read(ANN, {})
    told = made.told()
    refused = {"what": "read", "allowed": False, "reason": "no", "user": "ann"}
    refused |= {"address": "192.0.2.7:5001", "view": "v2"}
    assert told[:3] == [refused, refused, {**refused, "more": 19 + 5}]
    assert len(told) <= trail_module.MOST_READS + 6
    assert told[-1]["allowed"], "who may read it has a record, however many tries there were"


def test_reloads_plugins_start_and_end(made: Made) -> None:
    made.trail.started()
    made.trail.reloaded(["ws_port"])
    made.trail.reload_refused("x" * 5000)
    made.trail.plugins([("mask", "/p/mask.py")])
    started, reloaded, refused, plugins = made.told()
    assert started["what"] == "start"
    assert reloaded == {"what": "reload", "allowed": True, "changed": ["ws_port"]}
    assert (refused["allowed"], len(refused["reason"])) == (False, 2000)
    assert plugins["plugins"] == [{"name": "mask", "from": "/p/mask.py"}]
    assert made.place.whats()[-1] == "stop"


def test_the_last_are_in_memory(made: Made) -> None:
    made.trail.action(ANN, "Ping", [("Action", "Ping")], [1]).wait()
    (found,) = made.trail.recent.last(10)
    assert (found["what"], found["action"]) == ("action", "Ping")
    assert found["seq"] == 2


class TestOff:
    def test_nothing_is_done(self, place: Place) -> None:
        trail = Trail()
        trail.servers = lambda: pytest.fail("asked")
        trail.roles_of = lambda _client: pytest.fail("asked")
        audited = trail.action(ANN, "Ping", PAUSE, [1])
        assert audited.wait() == ""
        audited.result(1, "answered")
        trail.refused(ANN, "not_allowed", "no")
        trail.login("192.0.2.7", "ann", "digest", "")
        trail.started()
        trail.reloaded([])
        trail.stop()
        assert trail.prepare(None).finish() is False
        assert (trail.on, trail.closed, trail.state, trail.counts) == (False, "", None, (0, 0, 0))


class TestOutage:
    @pytest.fixture(autouse=True)
    def full(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
        """The disk is full while the list has something."""
        monkeypatch.setattr(writer, "RETRY", 0.01)
        full = [True]
        write = os.write

        def written(descriptor: int, data: memoryview) -> int:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr(
            Ledger.__init__,
            "__kwdefaults__",
            {
                **(Ledger.__init__.__kwdefaults__ or {}),
                "write": written,
            },
        )
        return full

    def test_actions_are_refused_and_that_is_told(self, place: Place, full: list[bool]) -> None:
        made = Made(place)
        why = made.trail.action(ANN, "Ping", PAUSE, [1]).wait()
        assert why == made.trail.closed == "No space left on device"
        assert made.trail.state == {"writing": False, "refusing": True, "reason": why}
        assert made.trail.retry_after > 0
        for _ in range(2):  # who sees that it is closed does not ask for a record of an action
            made.trail.refused(ANN, "audit_unavailable", why, name="Ping", repeats=True)
        made.trail.refused(ANN, "not_allowed", "for the boss", name="Ping")
        full.clear()
        until(lambda: not made.trail.closed)
        assert made.trail.action(ANN, "Ping", PAUSE, [1]).wait() == ""
        assert made.trail.counts[1:] == (3, 0)
        made.trail.stop(20)
        assert place.of("outage")[0]["refused"] == 3

    def test_or_go_on(self, place: Place, full: list[bool]) -> None:
        made = Made(place, on_failure="allow")
        assert made.trail.action(ANN, "Ping", PAUSE, [1]).wait() == ""
        assert made.trail.closed == ""
        assert made.trail.state == {
            "writing": False,
            "refusing": False,
            "reason": "No space left on device",
        }
        full.clear()
        until(lambda: not made.trail.outage)
        made.trail.stop(20)
        assert len(place.of("action")) == 1

    def test_a_start_with_it_begins_all_the_same(
        self, place: Place, full: list[bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = Ledger.open

        def no_room(ledger: Ledger) -> None:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(ledger)

        monkeypatch.setattr(Ledger, "open", no_room)
        made = Made(place)
        assert made.trail.closed == "No space left on device"
        full.clear()
        until(lambda: not made.trail.closed)
        made.trail.stop(20)
        assert place.verify().sound


class TestChange:
    def test_what_must_not_be_used_refuses_the_start(self, place: Place) -> None:
        place.file.symlink_to(place.folder / "elsewhere")
        with pytest.raises(AuditError, match="symbolic link") as caught:
            Trail().prepare(place.settings())
        assert caught.value.exit_status == 73
        place.file.unlink()
        place.file.parent.rmdir()
        with pytest.raises(AuditError, match="No such file"):
            Trail().prepare(place.settings())

    def test_what_is_not_used_leaves_nothing(self, made: Made, tmp_path: Path) -> None:
        (tmp_path / "new").mkdir()
        other = made.place.settings(file=tmp_path / "new" / "a")
        change = made.trail.prepare(other)
        assert other.file.exists()
        change.undo()
        assert not other.file.exists()
        assert made.trail.on
        made.trail.started()
        assert len(made.told()) == 1

    def test_it_is_moved(self, made: Made, tmp_path: Path) -> None:
        (tmp_path / "new").mkdir()
        old = made.place.file
        made.trail.started()
        other = made.place.settings(file=tmp_path / "new" / "a")
        change = made.trail.prepare(other)
        assert change.is_new
        assert change.finish()
        made.trail.reloaded(["audit.file"])
        until(lambda: "off" in made.place.whats())
        assert made.place.told()[-1]["to"] == str(other.file)
        made.place.file = other.file
        until(lambda: len(made.place.told()) == 3)
        begin, on, reloaded = made.place.told()
        assert (begin["seq"], on["before"], reloaded["what"]) == (1, str(old), "reload")
        until(lambda: made.trail.counts[0] == 4)

    def test_it_is_turned_off_and_on_again(self, made: Made) -> None:
        for _ in range(3):
            assert made.trail.prepare(None).finish() is False
            assert not made.trail.on
            assert made.trail.recent.last(9) == []
            assert made.trail.prepare(made.place.settings()).finish() is True
        made.trail.started()
        assert [record["what"] for record in made.told()] == ["off"] * 3 + ["start"]

    def test_other_settings_of_the_same_file(self, made: Made) -> None:
        change = made.trail.prepare(made.place.settings(fsync=False, on_failure="allow"))
        assert not change.is_new
        change.undo()
        assert made.trail.refuses
        made.trail.prepare(made.place.settings(fsync=False, on_failure="allow")).finish()
        assert not made.trail.refuses
        made.trail.started()
        assert len(made.told()) == 1

    def test_another_key_for_the_same_file_is_refused(self, made: Made, tmp_path: Path) -> None:
        with pytest.raises(AuditError, match="needs a new file, or a restart"):
            made.trail.prepare(made.place.settings(key_file=tmp_path / "other"))

    def test_two_programs_with_one_file(self, made: Made) -> None:
        with pytest.raises(AuditError, match="another process"):
            Trail().prepare(made.place.settings())
        assert issubclass(Unfit, OSError)
        gevent.sleep(0)
