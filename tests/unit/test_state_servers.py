"""The server itself. Reports of RTP are by Asterisk's source: no capture has them."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.state.servers import ServersPart
from tests.support.captured import SESSIONS, steps
from tests.support.fed import START, Fed


class Servers(Fed):
    def __init__(self) -> None:
        super().__init__()
        self.part = ServersPart(self.store)
        self.add(self.part)

    def told(self, *names: str) -> tuple[Any, ...]:
        return self.some("server", "server", *names)


@pytest.fixture
def servers() -> Servers:
    return Servers()


def test_the_banner_tells_the_product(servers: Servers) -> None:
    servers.part.greeted("Asterisk Call Manager/11.0.0\r\n")
    assert servers.told("product", "ami_version", "version") == ("Asterisk", "11.0.0", None)
    servers.part.greeted("Proxy/2")
    assert servers.told("product", "ami_version") == ("Proxy", "2")
    servers.part.greeted("hello")
    assert servers.told("product", "ami_version") == ("hello", None)


def test_since_when_it_runs_is_told_from_16_on(servers: Servers) -> None:
    servers.say("FullyBooted", Uptime=79, LastReload=40, Status="Fully Booted")
    started = servers.now - 79_000
    assert servers.told("booted", "started", "reloaded") == (True, started, servers.now - 40_000)
    servers.say("FullyBooted", Uptime=81, LastReload=1, after=2.6)
    assert servers.told("started", "reloaded") == (started, servers.now - 1000)


def test_to_15_it_is_not(servers: Servers) -> None:
    """13, main/manager.c: action_login."""
    servers.say("FullyBooted", Status="Fully Booted")
    assert servers.told("booted", "started") == (True, None)


def test_a_reload_and_the_end(servers: Servers) -> None:
    servers.say("Reload", Module="All", Status=0)
    assert servers.told("reloaded") == (servers.now,)
    servers.say("Shutdown", Shutdown="Cleanly", Restart="True")
    assert servers.told("shutting_down", "booted") == ("restart", False)
    servers.say("FullyBooted", Uptime=0, LastReload=0)
    assert servers.told("shutting_down", "started") == (None, servers.now)


@pytest.mark.parametrize("file", SESSIONS, ids=lambda file: file.stem)
def test_the_core_says_what_it_is(servers: Servers, file: Any) -> None:
    for step in steps(file):
        if step.action.startswith("Core"):
            servers.list(step.action, *step.items)
    ami_version, started = servers.told("ami_version", "started_local")
    assert ami_version == {"13.38": "2.10.6", "18": "7.0.3", "22.11": "11.0.0"}[file.stem[9:]]
    assert started.startswith("2026-11-")
    assert servers.told("system_name") == (None,)


def test_the_connection_is_dated_by_its_last_change(servers: Servers) -> None:
    servers.part.connection_changed("lost", "no answer", START)
    servers.part.connection_changed("lost", "refused", START + 5)
    told = servers.told("connection", "connection_reason", "connection_since")
    assert told == ("lost", "refused", START)
    servers.part.connection_changed("live", None, START + 9)
    told = servers.told("connection", "connection_reason", "connection_since")
    assert told == ("live", None, START + 9)


def test_calls_by_minute_are_put_with_the_tick(servers: Servers) -> None:
    servers.tick(after=0)
    assert servers.told("calls_by_minute", "last_event") == ([0] * 10, None)
    for seconds in (0, 1, 60):
        servers.part.call_started(START + 1000 * seconds)
    servers.part.heard(START + 7)
    servers.tick(after=60)
    assert servers.told("calls_by_minute", "last_event") == ([1, 2, *[0] * 8], START + 7)
    servers.part.call_started(START + 600_000)
    servers.tick(after=540)
    assert servers.told("calls_by_minute") == ([1, *[0] * 8, 1],)


def test_calls_are_not_counted_again_when_a_clock_that_was_set_back_comes_there(
    servers: Servers,
) -> None:
    servers.part.call_started(START)
    servers.tick(after=0)
    servers.tick(after=-7200)
    assert servers.told("calls_by_minute") == ([0] * 10,)
    servers.part.call_started(servers.now)
    servers.tick(after=10)
    assert sum(servers.told("calls_by_minute")[0]) == 1
    servers.tick(after=7190)
    assert servers.told("calls_by_minute") == ([0] * 10,)


def test_what_changes_all_the_time_is_told_at_most_every_ten_seconds(servers: Servers) -> None:
    told = []
    for second in range(21):
        servers.part.heard(START + second)
        servers.tick()
        told.append(servers.told("last_event")[0] - START)
    assert told == [0] * 10 + [10] * 10 + [20]


def test_a_call_that_was_none_is_taken_back(servers: Servers) -> None:
    servers.part.call_started(START)
    servers.part.call_started(START, -1)
    servers.tick(after=0)
    assert servers.told("calls_by_minute") == ([0] * 10,)


class Shelf:
    """What a part needs of a store."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        return self.fields if (kind, key) == ("server", "7") and self.fields else None

    def put(self, kind: str, key: str, **fields: Any) -> bool:
        assert (kind, key) == ("server", "7")
        self.fields.update(fields)
        return True


@pytest.mark.pure
def test_anything_with_get_and_put_may_stand_for_the_store() -> None:
    shelf = Shelf()
    part = ServersPart(shelf, "7")  # type: ignore[arg-type]
    part.connection_changed("live", None, START)
    part.greeted("Asterisk Call Manager/11.0.0")
    part.heard(START)
    part.tick()
    told = shelf.fields
    assert (told["connection"], told["product"], told["last_event"]) == ("live", "Asterisk", START)


NEW: dict[str, object] = {
    "To": "192.0.2.1:4000",
    "SSRC": "0x00000001",
    "PT": "200(SR)",
    "ReportCount": 1,
    "Report0FractionLost": 64,
    "Report0IAJitter": 80,
    "Report0DLSR": "1.0000",
}


def test_quality_since_12(servers: Servers) -> None:
    """13 to 22, main/rtp_engine.c: rtcp_report_to_ami."""
    servers.say("RTCPSent", **NEW)
    servers.say("RTCPReceived", **{**NEW, "Report0FractionLost": 0}, RTT="0.0125")
    servers.say("RTCPReceived", **{**NEW, "ReportCount": 0})
    servers.tick()
    incoming, outgoing = servers.told("rtp_incoming", "rtp_outgoing")
    assert incoming == {
        "reports": 1,
        "lost_percent": 25.0,
        "worst_lost_percent": 25.0,
        "jitter_ms": 10.0,
        "round_trip_ms": None,
    }
    assert (outgoing["reports"], outgoing["lost_percent"], outgoing["round_trip_ms"]) == (
        1,
        0,
        12.5,
    )


def test_quality_of_11(servers: Servers) -> None:
    """11, res/res_rtp_asterisk.c: ast_rtcp_write_sr, whose jitter is in seconds, and
    ast_rtcp_read, whose jitter is as it was sent."""
    servers.say("RTCPSent", OurSSRC=1, ReportBlock="", FractionLost=128, IAJitter="0.0200")
    servers.say("RTCPReceived", SenderSSRC=1, FractionLost=0, IAJitter=40, RTT="2(sec)")
    servers.tick()
    incoming, outgoing = servers.told("rtp_incoming", "rtp_outgoing")
    assert (incoming["lost_percent"], incoming["jitter_ms"]) == (50.0, 20.0)
    assert (outgoing["jitter_ms"], outgoing["round_trip_ms"]) == (5.0, 2000.0)


def test_quality_of_long_ago_is_forgotten(servers: Servers) -> None:
    servers.say("RTCPSent", **NEW)
    servers.tick(after=60)
    assert servers.told("rtp_incoming")[0]["reports"] == 1
    servers.tick(after=60)
    assert servers.told("rtp_incoming")[0] == {
        "reports": 0,
        "lost_percent": None,
        "worst_lost_percent": None,
        "jitter_ms": None,
        "round_trip_ms": None,
    }
