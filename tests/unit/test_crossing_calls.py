"""What an edge asks: what is decoded is what was encoded."""

from __future__ import annotations

from amiws_gevent.actions import ActionProblem, Reply
from amiws_gevent.crossing import calls
from amiws_gevent.plugins.api import ClientInfo
from tests.support.actions import asked


def again(value: object) -> object:
    return calls.decode(calls.encode(value=value))["value"]


def test_a_client() -> None:
    client = ClientInfo("[2001:db8::1]:5001", "ü", "v2", "digest")
    assert calls.client_of(again(calls.client_members(client))) == client  # type: ignore[arg-type]


def test_a_request() -> None:
    for request in (
        asked({"Action": "Originate", "Variable": ["a=1", "b"]}, [2, 1], wait=True, timeout=7),
        asked({"Action": "Ping", "ActionID": "x"}, "all", idempotency_key="k"),
    ):
        assert calls.request_of(again(calls.request_members(request))) == request  # type: ignore[arg-type]


def test_a_reply() -> None:
    reply = Reply(
        2,
        "answered",
        complete=True,
        response={"Response": "Success"},
        items=[{"Event": "x", "Variable": ["a", "b"]}],
        output=["line"],
        originated={"uniqueid": "1.2", "channel": None, "call": None},
        size=7,
    )
    assert calls.reply_of(again(calls.reply_members(reply))) == reply  # type: ignore[arg-type]


def test_a_problem() -> None:
    problem = ActionProblem("too_many_actions", "later", 1.5)
    made = calls.problem_of(again(calls.problem_members(problem)))  # type: ignore[arg-type]
    assert (made.code, made.message, made.retry_after) == ("too_many_actions", "later", 1.5)
