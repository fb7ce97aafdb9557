"""What plugins ask of another process, over a local bus."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent import afar
from amiws_gevent.afar import AWAY, LOST, Afar
from amiws_gevent.ami import Kind, Message
from amiws_gevent.bus.api import UNKNOWN as UNKNOWN_PROBLEM
from amiws_gevent.bus.api import UNREACHABLE as UNREACHABLE_PROBLEM
from amiws_gevent.plugins.facilities import (
    ACTION_REFUSED,
    BAD_REQUEST,
    UNKNOWN,
    UNKNOWN_SERVER,
    UNREACHABLE,
    Answer,
    AskError,
)
from tests.support.actions import settle
from tests.support.answering import CollectorOf
from tests.support.local_bus import LocalCalls

EVENT = Message(Kind.EVENT, [("Event", "Mine"), ("Variable", "a"), ("Variable", "b")])
ANSWER = Answer(
    2,
    Message(Kind.COMMAND, {"Response": "Success", "Output": "a\nb\n"}),
    (EVENT, Message(Kind.EVENT, {"Event": "Other"})),
    Message(Kind.EVENT, {"Event": "End", "ListItems": "2"}),
    ("a", "b"),
    False,
    "not all came in time",
)


@pytest.fixture
def collector() -> CollectorOf:
    return CollectorOf({})


@pytest.fixture
def calls(collector: CollectorOf) -> LocalCalls:
    made = LocalCalls()
    made.serve(collector.methods)
    return made


def ask(calls: LocalCalls, server: Any = 2, action: Any = None) -> Answer:
    asking = Afar(calls, lambda: (1, 2))
    return asking.ask(server, action or {"Action": "Ping"}, timeout=3, wait=False)


def test_the_holder_of_the_server_is_asked(calls: LocalCalls, collector: CollectorOf) -> None:
    collector.plugins.answer = ANSWER
    assert ask(calls, action={"Action": "Ping", "Variable": ["a", "b"]}) == ANSWER
    ((server, request),) = collector.plugins.asked
    assert (server, request.timeout) == (2, 3.0)
    assert request.headers == (("Action", "Ping"), ("Variable", "a"), ("Variable", "b"))
    assert [reply.lease for reply in calls.replies] == ["server-2"]


@pytest.mark.parametrize(
    ("server", "action", "code"),
    [
        (9, {"Action": "Ping"}, UNKNOWN_SERVER),
        ("1", {"Action": "Ping"}, BAD_REQUEST),
        (1, {}, BAD_REQUEST),
        (1, {"Action": "Logoff"}, ACTION_REFUSED),
    ],
)
def test_what_cannot_be_asked_does_not_cross(
    calls: LocalCalls, server: Any, action: Any, code: str
) -> None:
    with pytest.raises(AskError) as caught:
        Afar(calls, lambda: (1, 2)).ask(server, action, timeout=3, wait=False)
    assert caught.value.code == code
    assert calls.asked == []


@pytest.mark.parametrize(
    ("problem", "code", "reason"),
    [(UNREACHABLE_PROBLEM, UNREACHABLE, AWAY), (UNKNOWN_PROBLEM, UNKNOWN, LOST)],
)
def test_a_collector_that_is_away_or_lost(
    calls: LocalCalls, problem: Any, code: str, reason: str
) -> None:
    calls.problem = problem
    with pytest.raises(AskError) as caught:
        ask(calls)
    assert (caught.value.code, str(caught.value)) == (code, reason)


def test_what_the_holder_refuses(calls: LocalCalls, collector: CollectorOf) -> None:
    collector.plugins.answer = AskError(UNREACHABLE, "it is not connected")
    with pytest.raises(AskError, match="it is not connected") as caught:
        ask(calls)
    assert caught.value.code == UNREACHABLE


def test_events_go_to_who_has_the_program(
    calls: LocalCalls,
    collector: CollectorOf,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(afar, "MOST_EVENTS", 2)
    publishing = Afar(calls, lambda: ())
    assert publishing.publish(EVENT)
    assert publishing.publish(EVENT)
    assert not publishing.publish(EVENT), "too many are on their way"
    settle()
    assert collector.plugins.events == [EVENT, EVENT]
    assert {reply.lease for reply in calls.replies} == {"program"}
    calls.problem = UNREACHABLE_PROBLEM
    assert publishing.publish(EVENT)
    settle()
    assert "an event of a plugin is lost" in caplog.text
