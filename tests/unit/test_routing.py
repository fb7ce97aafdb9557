from __future__ import annotations

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.routing import JSON_MARK, is_answer, unwrap, wrap


def event(*pairs: tuple[str, str]) -> Message:
    return Message(Kind.EVENT, pairs)


@pytest.mark.parametrize("original", ["mine-1", "a/b/c", "", "amiws-v2/x/y"])
def test_a_wrapped_action_id_comes_back_as_it_was(original: str) -> None:
    headers = [("Action", "Ping"), ("actionid", original), ("X", "y")]
    sent = dict(wrap(headers, "TOKEN"))
    assert sent["ActionID"].startswith("amiws-v2/TOKEN/")
    assert sent["X"] == "y"
    assert "actionid" not in sent
    answer = Message(
        Kind.RESPONSE, [("Response", "Success"), ("ActionID", sent["ActionID"]), ("X", "y")]
    )
    token, restored = unwrap(answer)
    assert token == "TOKEN"
    assert restored.get("ActionID") == (original or None)
    assert restored.headers[-1] == ("X", "y")


def test_the_action_stays_first() -> None:
    assert [name for name, _ in wrap([("Action", "Ping")], "T")] == ["Action", "ActionID"]
    assert next(iter(wrap([("ActionID", "1"), ("Action", "A")], "T")))[0] == "Action"


def test_an_event_for_all_is_for_nobody_alone_but_restored() -> None:
    sent = dict(wrap([("Action", "Originate"), ("ActionID", "o")], "T"))["ActionID"]
    everybody = event(("Event", "OriginateResponse"), ("Privilege", "call,all"), ("ActionID", sent))
    token, restored = unwrap(everybody)
    assert token is None
    assert restored.get("ActionID") == "o"
    item = event(("Event", "QueueParams"), ("ActionID", sent))
    assert unwrap(item)[0] == "T"


def test_other_messages_are_left_as_they_are() -> None:
    for message in (
        event(("Event", "Newchannel")),
        event(("Event", "QueueParams"), ("ActionID", "mine")),
        Message(Kind.RESPONSE, [("Response", "Success")]),
    ):
        assert unwrap(message) == (None, message)


def test_what_is_an_answer() -> None:
    assert is_answer(Message(Kind.RESPONSE, [("Response", "Success")]))
    assert is_answer(Message(Kind.COMMAND, [("Output", "")]))
    assert is_answer(event(("Event", "QueueParams"), ("ActionID", "1")))
    assert not is_answer(event(("Event", "Newchannel"), ("Privilege", "call,all")))
    assert not is_answer(event(("Event", "Odd")))
    assert not is_answer(Message(Kind.PROMPT, [("Product", "x")]))


def test_the_mark_is_what_a_wrapped_id_looks_like_in_json() -> None:
    name, value = wrap([("Action", "A")], "T")[1]
    assert f'"{name}":"{value}"'.encode().startswith(JSON_MARK)
