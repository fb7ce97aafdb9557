"""What is collected of an answer; also from the captures, each list by its action's name."""

from __future__ import annotations

import pickle
from pathlib import Path

import gevent
import pytest

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.link.pending import Pending
from amiws_gevent.link.query import Answer, AnswerLost, Query

CAPTURES = Path(__file__).parent.parent / "captures"

# ActionIDs of the captures and the actions that they were given to, in order.
SESSION = {
    "p1": "Ping",
    "c1": "Command",
    "c3": "Command",
    "lc": "ListCommands",
    "q1": "QueueStatus",
    "-": "Queues",
    "q2": "QueueSummary",
    "csc": "CoreShowChannels",
    "st": "Status",
    "c6": "Command",
    "q3": "QueueStatus",
    "cb": "ConfbridgeListRooms",
    "dsl": "DeviceStateList",
    "bl": "BridgeList",
    "ns": "NoSuch",
}
LISTS = (
    *("CoreShowChannels", "Status", "QueueStatus", "BridgeList", "ParkedCalls"),
    *("ConfbridgeListRooms", "ExtensionStateList", "DeviceStateList"),
)
SCENARIO = {f"q{number + 2}": LISTS[number % 8] for number in range(40)}


def query(name: str = "Status", max_messages: int = 1000, max_bytes: int = 1 << 20) -> Query:
    return Query(name, max_messages=max_messages, max_bytes=max_bytes)


def message(kind: Kind = Kind.EVENT, **headers: str) -> Message:
    return Message(kind, headers)


def collected(file: str, asked: dict[str, str]) -> tuple[dict[str, Answer], list[Message]]:
    """The answers to own queries by the ActionID of the capture, and what is passed on."""
    data = (CAPTURES / file).read_bytes()
    pending = Pending()
    queries = {}
    for action_id, name in asked.items():
        own = f"amiws-gevent-{action_id}"
        data = data.replace(f"ActionID: {action_id}\r\n".encode(), f"ActionID: {own}\r\n".encode())
        queries[action_id] = query(name)
        pending.add(own, name, queries[action_id])
    passed = pending.receive(Parser().receive_data(data))
    return {action_id: one.wait(0) for action_id, one in queries.items()}, passed


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("asterisk-13.38.raw", SESSION),
        ("asterisk-18.raw", SESSION),
        ("asterisk-22.11.raw", SESSION),
        ("scenarios/park_and_pick_up.raw", SCENARIO),
    ],
)
def test_each_list_of_the_captures_is_collected_whole(file: str, asked: dict[str, str]) -> None:
    answers, passed = collected(file, asked)
    assert [action_id for action_id, one in answers.items() if not one.complete] == []
    ended = {action_id: one for action_id, one in answers.items() if one.end is not None}
    assert len(ended) == (8 if asked is SESSION else 35)
    for action_id, answer in ended.items():
        assert answer.end is not None
        assert len(answer.items) == int(answer.end.get("ListItems") or 0), action_id
        assert answer.refusal == ""
        assert answer.size > 0
        assert not answer.timed_out
    assert not [one for one in passed if "amiws-gevent-" in (one.get("ActionID") or "")]
    total = len(Parser().receive_data((CAPTURES / file).read_bytes()))
    held = sum(
        (one.response is not None) + len(one.items) + (one.end is not None)
        for one in answers.values()
    )
    assert len(passed) + held == total
    if asked is SESSION:
        assert answers["ns"].refusal.startswith("Invalid/unknown command")
        output = answers["c1"].response
        assert output is not None
        assert (output.get("Output") or "").startswith("System uptime: ")


def test_an_error_that_says_empty_is_a_list_without_items() -> None:
    answers, _ = collected("scenarios/park_and_pick_up.raw", SCENARIO)
    rooms = answers["q7"]
    assert rooms.response is not None
    assert rooms.response.get("Response") == "Error"
    assert (rooms.items, rooms.complete, rooms.refusal) == ((), True, "")


def test_live_events_with_the_names_of_items_are_news() -> None:
    answers, passed = collected("scenarios/park_and_pick_up.raw", SCENARIO)
    assert [len(answers[f"q{n}"].items) for n in (6, 14, 22, 30, 38)] == [0, 0, 1, 0, 0]
    assert [one.get("ParkingSpace") for one in passed if one.name == "ParkedCall"] == ["701"]


def test_queues_of_asterisk_13_is_text_that_follows_the_order() -> None:
    answers, passed = collected("asterisk-13.38.raw", SESSION)
    assert [one.get("QueueName") for one in answers["-"].items] == ["support", "sales"]
    assert answers["-"].response is None
    assert not [one for one in passed if one.kind is Kind.QUEUE]


def test_an_answer_is_plain_data() -> None:
    answers, _ = collected("asterisk-13.38.raw", SESSION)
    for answer in answers.values():
        assert pickle.loads(pickle.dumps(answer)) == answer


@pytest.mark.parametrize(("most", "size"), [(3, 1 << 20), (1000, 60)])
def test_past_its_bounds_it_takes_no_more_and_says_so(most: int, size: int) -> None:
    one = query(max_messages=most, max_bytes=size)
    assert one.take(message(Kind.RESPONSE, Response="Success"), ends=False)
    assert one.take(message(Event="Status"), ends=False)
    assert one.take(message(Event="Status"), ends=False)
    assert not one.take(message(Event="Status"), ends=False)
    answer = one.wait(0)
    assert (len(answer.items), answer.complete) == (2, False)
    assert answer.reason == f"the answer has more than {most} messages or {size} bytes"


def test_an_answer_that_does_not_come_in_time_is_not_complete() -> None:
    one = query()
    one.take(message(Kind.RESPONSE, Response="Success"), ends=False)
    answer = one.wait(0.01)
    assert not answer.complete
    assert answer.response is not None
    assert answer.reason == "no whole answer within 0.01 s"
    assert answer.timed_out


def test_a_lost_connection_is_raised_to_who_waits() -> None:
    one = query()
    waiting = gevent.spawn(one.wait, 60)
    gevent.sleep(0)
    some = Message(Kind.EVENT, {"Event": "QueueMember"})
    one.take(some, ends=False)
    one.lost("the outcome is unknown")
    with pytest.raises(AnswerLost, match="unknown") as lost:
        waiting.get()
    answer = lost.value.answer
    assert (answer.items, answer.complete, answer.lost) == ((some,), False, True)
    assert answer.reason == "the outcome is unknown"


def test_a_refusal_without_words() -> None:
    one = query()
    one.take(message(Kind.RESPONSE, Response="Error"), ends=False)
    one.over("")
    assert (one.wait(0).refusal, one.wait(0).complete) == ("Error", True)
