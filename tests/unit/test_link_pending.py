from __future__ import annotations

from amiws_gevent.ami import Kind, Message
from amiws_gevent.link.pending import LIMIT, Pending


def response(action_id: str | None, **headers: str) -> Message:
    ident = {} if action_id is None else {"ActionID": action_id}
    return Message(Kind.RESPONSE, {"Response": "Success", **ident, **headers})


def event(name: str, **headers: str) -> Message:
    return Message(Kind.EVENT, {"Event": name, **headers})


def pending(*action_ids: str, limit: int = LIMIT) -> Pending:
    made = Pending(limit)
    for action_id in action_ids:
        made.add(action_id, "CoreStatus")
    return made


def under_way(made: Pending) -> list[str | None]:
    """The ActionIDs that get an error when the connection ends, by ending it."""
    return [answer.get("ActionID") for answer in made.fail("pbx", "gone")]


def test_what_is_not_answered_gets_an_error_that_says_unknown_and_not_failed() -> None:
    made = pending("a")
    made.add("b", "Originate")
    assert len(made) == 2
    first, second = made.fail("pbx", "reset by the server")
    assert (first.kind, first.get("Response"), first.get("ActionID")) == (
        Kind.RESPONSE,
        "Error",
        "a",
    )
    assert second.get("Message") == (
        "the outcome of Originate is unknown: the connection to server pbx ended before the"
        " answer was complete (reset by the server)"
    )
    assert len(made) == 0
    assert made.fail("pbx", "again") == []


def test_an_answer_ends_it_and_what_was_asked_before() -> None:
    made = pending("a", "never answered", "b", "c")
    made.receive([response("a"), response("b")])
    assert under_way(made) == ["c"]


def test_command_output_is_an_answer() -> None:
    made = pending("a")
    made.receive([Message(Kind.COMMAND, {"Response": "Follows", "actionid": "a", "Output": ""})])
    assert under_way(made) == []


def test_answers_to_others_and_news_end_nothing() -> None:
    made = pending("a")
    messages = [
        response(None),
        response("mine"),
        event("OriginateResponse", Privilege="call,all", ActionID="a"),
        Message(Kind.PROMPT, {"Product": "a"}),
    ]
    assert made.receive(messages) == messages
    assert under_way(made) == ["a"]


def test_the_same_action_id_twice_is_answered_twice() -> None:
    made = pending("a", "a")
    made.receive([response("a")])
    assert under_way(made) == ["a"]


def test_a_list_is_under_way_until_its_end() -> None:
    made = pending("a", "b")
    made.receive([response("a", EventList="start"), event("Item", ActionID="a")])
    assert len(made) == 2
    made.receive([event("ItemsComplete", ActionID="a", EventList="Complete")])
    assert under_way(made) == ["b"]
    made = pending("a", "b")
    made.receive([response("a", EventList="start"), event("X", ActionID="z", EventList="Complete")])
    assert under_way(made) == ["a", "b"]


def test_any_response_ends_a_list_whose_end_was_not_told() -> None:
    for other in (response("z"), response(None)):
        made = pending("a")
        made.receive([response("a", EventList="Start"), other])
        assert under_way(made) == []


def test_items_without_action_id_get_that_of_their_list_and_nothing_else_does() -> None:
    made = pending("a")
    news = event("Hangup", Privilege="call,all")
    item = event("PeerEntry", ObjectName="b")
    strange = event("PeerEntry", ActionID="z")
    start = response("a", EventList="start")
    end = event("PeerlistComplete", EventList="Complete", ActionID="a")
    assert made.receive([item, start, news, item, strange, end, item]) == [
        item,
        start,
        news,
        event("PeerEntry", ObjectName="b", ActionID="a"),
        strange,
        end,
        item,
    ]


def test_it_is_bounded_and_the_oldest_goes() -> None:
    made = pending(*map(str, range(10)), limit=3)
    assert len(made) == 3
    made.receive([response("3")])
    made.receive([response("7", EventList="start")])
    assert under_way(made) == ["7", "8", "9"]


def test_who_has_left_is_forgotten() -> None:
    made = pending("x/1", "y/1", "x/2")
    made.forget("x/")
    assert under_way(made) == ["y/1"]
    made = pending("x/1", "y/1", limit=2)
    made.receive([response("x/1", EventList="start")])
    made.forget("x/")
    for number in range(5):
        made.add(f"z/{number}", "A")
    assert under_way(made) == ["z/3", "z/4"]


def test_with_nothing_under_way_messages_are_not_looked_at() -> None:
    messages = [event("A")]
    assert Pending().receive(messages) is messages
