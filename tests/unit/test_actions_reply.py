from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gevent
import orjson
import pytest

from amiws_gevent.actions.reply import (
    ANSWERED,
    ITEMS_PER_TURN,
    REFUSED,
    TIMEOUT,
    UNKNOWN,
    UNREACHABLE,
    Reply,
    failed,
    originated,
    reply_of,
)
from amiws_gevent.ami import Kind, Message
from amiws_gevent.link import Answer
from tests.support.actions import answered, asked, item, response


def unchanged(messages: Sequence[Message]) -> Sequence[Message]:
    return messages


def reply(answer: Answer, **request: Any) -> Reply:
    return reply_of(asked(**request), 7, answer, unchanged)


def test_a_list_as_json() -> None:
    end = item("QueueStatusComplete", EventList="Complete")
    twice = Message(Kind.EVENT, [("Event", "QueueParams"), ("Queue", "q"), ("V", "1"), ("V", "2")])
    got = reply(answered(response(Message="follows"), [item("QueueMember"), twice], end)).as_json()
    assert json.loads(orjson.dumps(got)) == {
        "server": 7,
        "outcome": "answered",
        "response": {"Response": "Success", "Message": "follows"},
        "items": [
            {"Event": "QueueMember"},
            {"Event": "QueueParams", "Queue": "q", "V": ["1", "2"]},
        ],
        "end": {"Event": "QueueStatusComplete", "EventList": "Complete"},
        "complete": True,
        "reason": "",
    }


def test_whatever_text_a_refusal_has_it_can_be_json() -> None:
    got = reply(answered(response(Response="Error", Message="no \ud800"), refusal="no"))
    assert json.loads(orjson.dumps(got.as_json()))["reason"] == "no ?"


def test_messages_have_the_clients_action_id_and_never_ours() -> None:
    odd = Message(Kind.EVENT, [("Event", "A"), ("actionid", "amiws-gevent-1"), ("ActionID", "x")])
    answer = answered(response(), [item("B"), odd], item("Complete"))
    got = reply(answer, action={"Action": "A", "ActionID": "mine"})
    assert got.action_id == "mine"
    assert got.response == {"Response": "Success", "ActionID": "mine"}
    assert list(got.items) == [
        {"Event": "B", "ActionID": "mine"},
        {"Event": "A", "actionid": "mine"},
    ]
    assert got.as_json()["action_id"] == "mine"
    assert "amiws-gevent" not in str(reply(answer).as_json())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\n\n two\n", ["one", "", " two"]),
        ("no end of line", ["no end of line"]),
        ("", []),
        ("\n", [""]),
        ("\ud800\n", ["\ufffd"]),
    ],
)
def test_the_output_of_a_command_is_lines(text: str, lines: list[str]) -> None:
    said = Message(Kind.COMMAND, {"Response": "Follows", "Privilege": "Command", "output": text})
    got = reply(answered(said))
    assert got.output == lines
    assert got.response == {"Response": "Follows", "Privilege": "Command"}
    assert json.loads(orjson.dumps(got.as_json()))["output"] == lines


def test_what_is_no_command_has_no_output() -> None:
    assert "output" not in reply(answered()).as_json()


@pytest.mark.parametrize(
    ("answer", "outcome", "complete", "reason"),
    [
        (answered(), ANSWERED, True, ""),
        (
            answered(response(Response="Error", Message=" No "), refusal="No"),
            REFUSED,
            True,
            "No",
        ),
        (answered(response(Response="Error"), refusal="Error"), REFUSED, True, "Error"),
        (
            answered(complete=False, reason="no whole answer", timed_out=True),
            TIMEOUT,
            False,
            "no whole answer",
        ),
        (answered(complete=False, reason="too many"), ANSWERED, False, "too many"),
        (Answer(None, (), None, False, "passed over", ""), UNKNOWN, False, "passed over"),
        (Answer(None, (item("A"),), None, False, "cut", ""), ANSWERED, False, "cut"),
        (Answer(None, (), None, True, "", ""), ANSWERED, True, ""),
        (answered(complete=False, reason="reset", lost=True), UNKNOWN, False, "reset"),
    ],
)
def test_outcomes(answer: Answer, outcome: str, complete: bool, reason: str) -> None:
    got = reply(answer)
    assert (got.outcome, got.complete, got.reason) == (outcome, complete, reason)


def test_where_nothing_came() -> None:
    got = failed(asked({"Action": "A", "ActionID": "7"}), 3, UNREACHABLE, "down").as_json()
    assert got == {
        "server": 3,
        "outcome": "unreachable",
        "response": None,
        "items": [],
        "end": None,
        "complete": False,
        "reason": "down",
        "action_id": "7",
    }


def test_what_plugins_leave_is_what_the_client_gets() -> None:
    def shown(messages: Sequence[Message]) -> Sequence[Message]:
        return [
            one.replace("Message", "***") if one.has("Message") else one
            for one in messages
            if one.name != "Secret"
        ]

    said = response(Response="Error", Message="bare")
    got = reply_of(asked(), 1, answered(said, refusal="bare"), shown)
    assert got.reason == "***"
    assert "bare" not in str(got.as_json())
    listed = answered(response(), [item("A"), item("Secret"), item("B")], item("End"))
    got = reply_of(asked(), 1, listed, shown)
    assert [one["Event"] for one in got.items] == ["A", "B"]
    assert (got.complete, got.reason) == (False, "plugins hold back 1 of its messages")


def test_a_long_list_lets_others_run() -> None:
    turns = []

    def other() -> None:
        while not made.ready():
            turns.append(1)
            gevent.sleep(0)

    items = [item("A", Number=str(number)) for number in range(ITEMS_PER_TURN * 4)]
    made = gevent.spawn(reply, answered(response(), items))
    gevent.spawn(other).join()
    assert len(turns) >= 3
    assert [one["Number"] for one in made.value.items] == [str(n) for n in range(len(items))]


@pytest.mark.parametrize(
    ("told", "given", "found"),
    [
        (None, {}, (None, None)),
        (None, {"ChannelId": "mine-1"}, ("mine-1", None)),
        ({"Uniqueid": "1.2", "Channel": "SIP/1-0"}, {}, ("1.2", "SIP/1-0")),
        ({"Uniqueid": "1.2", "Channel": "SIP/1-0"}, {"ChannelId": "x"}, ("1.2", "SIP/1-0")),
        ({"Uniqueid": "<null>", "Channel": "SIP/1"}, {"ChannelId": "x"}, ("x", "SIP/1")),
        ({"Uniqueid": "<unknown>", "Channel": ""}, {}, (None, None)),
        ({"Uniqueid": "<Null>"}, {}, (None, None)),
    ],
)
def test_the_call_that_came_of_an_originate(
    told: dict[str, str] | None, given: dict[str, str], found: tuple[str | None, str | None]
) -> None:
    action = {"Action": "Originate", "Channel": "SIP/1", **given}
    end = None if told is None else item("OriginateResponse", **told)
    request = asked(action)
    assert originated(request, reply_of(request, 1, answered(end=end), unchanged)) == found
