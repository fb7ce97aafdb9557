"""Metrics of actions and of the audit."""

from __future__ import annotations

import json

import pytest

from amiws_gevent.actions import ActionProblem
from amiws_gevent.plugins.api import ClientInfo
from tests.support.actions import Told
from tests.support.assembly import Assembly
from tests.support.audited import MemoryTrail

P = ClientInfo("192.0.2.7:1", None, "classic")


@pytest.fixture
def assembly() -> Assembly:
    return Assembly()


def test_actions(assembly: Assembly) -> None:
    assembly.dispatcher.dispatch(
        json.dumps({"Action": "Ping"}), client=P, answer=lambda _json: None
    )
    assembly.dispatcher.sent = 4
    assert assembly.value("amiws_actions_refused_total") == 1
    assert assembly.value("amiws_actions_sent_total") == 4


def test_actions_that_are_answered(assembly: Assembly) -> None:
    assert assembly.value("amiws_action_replies_total", "timeout") == 0
    client, told = ClientInfo("p:1", None, "v2"), Told()
    given = {"server": 1, "action": {"Action": "Ping"}}
    assembly.actions.submit(assembly.actions.parse(given), client, told)
    assert assembly.value("amiws_actions_pending") == 1
    told.wait()
    with pytest.raises(ActionProblem):
        assembly.actions.parse({**given, "server": "x"}, client)
    assembly.actions.sent = 4
    found = assembly.samples()
    assert found["amiws_action_replies_total", "unreachable"] == 1
    assert found["amiws_actions_pending", ""] == 0
    assert found["amiws_actions_refused_total", ""] == 2
    assert found["amiws_actions_sent_total", ""] == 4


def test_the_audit_and_limits_of_actions(assembly: Assembly) -> None:
    names = ("records_total", "failing", "pending_records", "refused_actions_total")
    assert {assembly.value(f"amiws_audit_{name}") for name in names} == {0}
    trail = MemoryTrail()
    assembly.audit.__dict__.update(trail.__dict__)
    trail.memory.waiting, trail.memory.refused, trail.memory.lost = 2, 3, 4
    trail.memory.outage = "full"
    trail.memory.count = 7
    assembly.action_limits.refused["rate", "user"] = 5
    found = assembly.samples()
    assert found["amiws_audit_failing", ""] == 1
    assert found["amiws_audit_records_total", ""] == 7
    assert found["amiws_audit_pending_records", ""] == 2
    assert found["amiws_audit_refused_actions_total", ""] == 3
    assert found["amiws_audit_lost_records_total", ""] == 4
    assert found["amiws_actions_limited_total", "rate,user"] == 5
    assert found["amiws_actions_limited_total", "at_work,address"] == 0
