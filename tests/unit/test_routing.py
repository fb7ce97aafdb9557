from __future__ import annotations

import json

import pytest

from amiws_gevent.ami import ActionError, Kind, Message, parse_client_action
from amiws_gevent.routing import JSON_MARK, check_action_ids, unwrap, wrap


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


def test_the_mark_is_what_a_wrapped_id_looks_like_in_json() -> None:
    name, value = wrap([("Action", "A")], "T")[1]
    assert f'"{name}":"{value}"'.encode().startswith(JSON_MARK, len(name) + 3)


def test_of_several_action_ids_the_first_counts_and_the_others_stay_here() -> None:
    headers = [("Action", "A"), ("ActionID", "1"), ("actionid", "2"), ("X", "y")]
    assert wrap(headers, "T") == (("Action", "A"), ("ActionID", "amiws-v2/T/1"), ("X", "y"))


@pytest.mark.parametrize("privilege", ["Call", "System", "call,all"])
def test_items_are_for_who_asked_whatever_privilege_they_carry(privilege: str) -> None:
    item = event(("Event", "Status"), ("Privilege", privilege), ("ActionID", "amiws-v2/T/1"))
    token, restored = unwrap(item)
    assert (token, restored.get("ActionID")) == ("T", "1")


@pytest.mark.parametrize("name", ["OriginateResponse", "UserEvent", "SIPQualifyPeerDone"])
def test_events_for_all_sessions_are_listed_by_name(name: str) -> None:
    news = event(("Event", name), ("Privilege", "call,all"), ("actionid", "amiws-v2/T/1"))
    token, restored = unwrap(news)
    assert token is None
    assert restored.headers[-1] == ("actionid", "1")


@pytest.mark.parametrize(
    "given", ["amiws-v2/T/1", " amiws-v2/", "amiws-gevent-1", "\tamiws-gevent-"]
)
def test_action_ids_that_would_pass_for_ours_are_refused(given: str) -> None:
    for headers in ({"ActionID": given}, {"ActionID": "mine", "actionid": given}):
        action = parse_client_action(json.dumps({"Action": "A", **headers}))
        with pytest.raises(ActionError, match='begins with "amiws-') as caught:
            check_action_ids(action, None)
        assert caught.value.action_id == action.action_id


def test_what_is_wrapped_may_look_like_an_address_but_not_like_an_own_one() -> None:
    def check(action_id: str) -> None:
        check_action_ids(
            parse_client_action(json.dumps({"Action": "A", "ActionID": action_id})), "T"
        )

    check("amiws-v2/x/y")
    check("amiws-v3")
    with pytest.raises(ActionError):
        check("amiws-gevent-1")
