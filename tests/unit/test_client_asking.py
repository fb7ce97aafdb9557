"""Replies to an action, and who waits for them."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.client.asking import Asking, Reply
from amiws_gevent.client.login import ClientError


def message(server: int, replies: int = 1, **more: Any) -> dict[str, Any]:
    reply = {"op": "reply", "id": 1, "server": server, "replies": replies, "outcome": "answered"}
    body = {"response": {"Response": "Success"}, "items": [], "end": None}
    return {**reply, **body, "complete": True, "reason": "", **more}


def test_a_reply_has_all_that_came() -> None:
    reply = Reply.of(message(1, uniqueid="1.2", output=["a"], items=[{"Event": "x"}]))
    assert reply == Reply(
        1,
        "answered",
        {"Response": "Success"},
        [{"Event": "x"}],
        None,
        True,
        "",
        {"uniqueid": "1.2", "output": ["a"]},
    )


def test_all_replies_are_waited_for() -> None:
    asking = Asking([1, 2])
    assert not asking.replied(message(2, 2))
    assert asking.replied(message(1, 2))
    asking.give_up("late")
    assert [reply.server for reply in asking.wait(0)] == [2, 1]


def test_those_that_have_not_answered_are_unknown() -> None:
    asking = Asking([1, 2, 3])
    asking.replied(message(2, 3))
    asking.give_up("lost")
    replies = asking.wait(None)
    assert [(reply.server, reply.outcome) for reply in replies] == [
        (2, "answered"),
        (1, "unknown"),
        (3, "unknown"),
    ]
    assert (replies[1].reason, replies[1].complete) == ("lost", False)


def test_time_is_over() -> None:
    asking = Asking([1, 2])
    assert [reply.outcome for reply in asking.wait(0)] == ["unknown", "unknown"]
    assert not asking.replied(message(1, 2))
    assert asking.replied(message(2, 2)), "so that it is forgotten"
    assert [reply.outcome for reply in asking.wait(0)] == ["unknown", "unknown"]


def test_nothing_was_done() -> None:
    asking = Asking([1])
    asking.fail(ClientError("unknown_server", "no such server"))
    with pytest.raises(ClientError, match="no such server"):
        asking.wait(None)
