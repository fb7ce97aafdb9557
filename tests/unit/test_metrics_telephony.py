"""Each metric of queues and trunks tells what was counted."""

from __future__ import annotations

import pytest

from amiws_gevent.link import LinkState
from amiws_gevent.metrics import tallies
from amiws_gevent.metrics.collector import SAMPLES_PER_TURN
from amiws_gevent.metrics.tallies import MEMBER_STATES
from tests.support.assembly import Assembly
from tests.support.fed import event

NAME = 'sales "north"\\\n'


@pytest.fixture
def assembly() -> Assembly:
    assembly = Assembly()
    assembly.links[1].state = LinkState.CONNECTED
    (live,) = assembly.live.followed
    items = [
        event("QueueParams", Queue=NAME),
        event("QueueMember", Queue=NAME, Location="SIP/1", Status=1, Paused=0),
        event("QueueMember", Queue=NAME, Location="SIP/2", Status=2, Paused=1),
        event("QueueEntry", Queue=NAME, Uniqueid="1.1", Position=1, Wait=30),
    ]
    live.listed("QueueStatus", items, live.offset, heals=False)
    live.store.put(
        "peer", "SIP/carrier", name="carrier", technology="SIP", status="unreachable", latency=50
    )
    live.store.put("call", "1.1", trunk="carrier")
    live.store.put("registration", "a", name="carrier", username="u", domain="d", status="rejected")
    return assembly


def test_queues(assembly: Assembly) -> None:
    found = assembly.samples()
    told = {
        name.removeprefix("amiws_queue_"): value
        for (name, labels), value in found.items()
        if name.startswith("amiws_queue_") and labels == f"pbx1,1,{NAME}"
    }
    assert 30 <= told.pop("longest_wait_seconds") < 40
    assert told == {
        "waiting_callers": 1,
        "longest_wait_of_day_seconds": 0,
        "entered_total": 1,
        "answered_total": 0,
        "answered_in_level_total": 0,
        "abandoned_total": 0,
        "members_paused": 1,
        "members_free": 1,
    }
    assert found["amiws_queue_service_level_seconds", "pbx1,1"] == 20
    members = {
        state: found["amiws_queue_members", f"pbx1,1,{NAME},{state}"] for state in MEMBER_STATES
    }
    assert {state for state, count in members.items() if count} == {"idle", "in_use"}


def test_trunks(assembly: Assembly) -> None:
    found = assembly.samples()
    assert found["amiws_trunk_down", "pbx1,1,carrier"] == 1
    assert found["amiws_trunk_calls", "pbx1,1,carrier"] == 1
    assert found["amiws_trunk_latency_seconds", "pbx1,1,carrier"] == 0.05
    assert found["amiws_registration_down", "pbx1,1,carrier"] == 1


def test_a_server_without_queues_has_no_service_level() -> None:
    assembly = Assembly()
    assembly.links[1].state = LinkState.CONNECTED
    names = {name for name, _ in assembly.samples()}
    assert not [name for name in names if name.startswith("amiws_queue_")]


@pytest.mark.slow
def test_many_queues_hold_nobody_up(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_QUEUES", 250)
    (live,) = assembly.live.followed
    items = [event("QueueParams", Queue=f"q{number}") for number in range(300)]
    live.listed("QueueStatus", items, live.offset, heals=False)
    assembly.pauses.start()
    found = assembly.samples()
    turns = assembly.pauses.turns
    assembly.pauses.stop()
    told = [key for key in found if key[0].startswith("amiws_queue_")]
    assert len(told) > 4000
    assert turns > len(told) // SAMPLES_PER_TURN // 2
    waiting = [key for key in told if key[0] == "amiws_queue_waiting_callers"]
    assert len(waiting) == 251


def test_the_rest_has_no_counters(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their sum would go down when one of these queues goes, or gets a name of its own."""
    monkeypatch.setattr(tallies, "MOST_QUEUES", 1)
    (live,) = assembly.live.followed
    items = [event("QueueParams", Queue=name) for name in (NAME, "b", "c")]
    live.listed("QueueStatus", items, live.offset, heals=False)
    found = assembly.samples()
    of_rest = {name for name, labels in found if labels.startswith("pbx1,1,(others)")}
    assert "amiws_queue_waiting_callers" in of_rest
    assert not [name for name in of_rest if name.endswith("_total")]
    assert ("amiws_queue_entered_total", f"pbx1,1,{NAME}") in found
