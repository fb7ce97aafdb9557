from __future__ import annotations

import functools
import json
import logging
from typing import Any

import gevent
import pytest

from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.ami import Kind, Message
from amiws_gevent.config import AmiHost, Limits
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.errors import AmiwsError, NotConnected, SendBufferFull
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.peers import name_of
from tests.support.audited import MemoryTrail
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.hosts import ami_host
from tests.support.policy import rights

ALICE = ClientInfo("127.0.0.1:5001", "alice", "classic")
BOB = ClientInfo("127.0.0.1:5002", "bob", "classic")


class FakeLink:
    def __init__(self, host: AmiHost, error: AmiwsError | None = None) -> None:
        self.host = host
        self.error = error
        self.sent: list[bytes] = []
        self.holding: list[float] = []

    def send(self, data: bytes, *, holding: float = 0.0) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(data)
        self.holding.append(holding)


def setup(*errors: AmiwsError | None) -> tuple[Dispatcher, list[FakeLink]]:
    links = [
        FakeLink(ami_host(id=number, name=f"pbx{number}", ssl=number == 2), error)
        for number, error in enumerate(errors, 1)
    ]
    return Dispatcher({link.host.id: link for link in links}), links


def dispatch(dispatcher: Dispatcher, action: Any, client: ClientInfo = ALICE) -> list[Any]:
    text = action if isinstance(action, str) else json.dumps(action)
    answers: list[bytes] = []
    dispatcher.dispatch(text, client=client, answer=answers.append)
    return [json.loads(answer) for answer in answers]


def test_to_all_or_to_one() -> None:
    dispatcher, (one, two) = setup(None, None)
    assert dispatch(dispatcher, {"Action": "Ping"}) == []
    assert dispatch(dispatcher, {"Action": "CoreStatus", "AMIServerID": 2}) == []
    assert one.sent == [b"Action: Ping\r\n\r\n"]
    assert two.sent == [b"Action: Ping\r\n\r\n", b"Action: CoreStatus\r\n\r\n"]
    assert (dispatcher.sent, dispatcher.refused) == (3, 0)


def test_for_one_server_alone_and_not_if_it_is_late() -> None:
    dispatcher, (one, two) = setup(None, None)
    answers: list[bytes] = []
    for late in ("", "its time is over"):
        dispatcher.dispatch(
            '{"Action": "Ping"}',
            client=ALICE,
            answer=answers.append,
            server=2,
            late=functools.partial(str, late),
        )
    assert (one.sent, two.sent) == ([], [b"Action: Ping\r\n\r\n"])
    (answer,) = [json.loads(answer) for answer in answers]
    assert (answer["server_id"], answer["data"]["Message"]) == (2, "its time is over")


def test_a_server_that_cannot_take_it_is_told_by_name_and_the_others_get_it() -> None:
    dispatcher, (one, _, _) = setup(
        None, NotConnected("pbx2 is not connected"), SendBufferFull("x")
    )
    answers = dispatch(dispatcher, {"Action": "Ping", "ActionID": "7"})
    assert one.sent == [b"Action: Ping\r\nActionID: 7\r\n\r\n"]
    assert answers[0] == {
        "type": 4,
        "server_id": 2,
        "server_name": "pbx2",
        "ssl": True,
        "data": {"Response": "Error", "ActionID": "7", "Message": "pbx2 is not connected"},
    }
    assert answers[1]["server_id"] == 3
    assert (dispatcher.sent, dispatcher.refused) == (1, 2)


def test_an_unknown_server_is_an_error_that_lists_the_known() -> None:
    dispatcher, _ = setup(None, None)
    (answer,) = dispatch(dispatcher, {"Action": "Ping", "AMIServerID": 5, "ActionID": "a"})
    assert (answer["server_id"], answer["server_name"]) == (0, "amiws-gevent")
    assert "no such server" in answer["data"]["Message"]
    assert "1, 2" in answer["data"]["Message"]
    assert answer["data"]["ActionID"] == "a"


def test_a_refused_action_reaches_no_server(caplog: pytest.LogCaptureFixture) -> None:
    dispatcher, (one,) = setup(None)
    (answer,) = dispatch(dispatcher, '{"Action": "A", "V": "x\\nAction: B"}')
    assert answer["data"]["Response"] == "Error"
    assert one.sent == []
    assert dispatcher.refused == 1


def test_a_link_learns_what_an_action_may_hold_up() -> None:
    dispatcher, (one,) = setup(None)
    originate = {"Action": "Originate", "Timeout": 45000}
    dispatch(dispatcher, originate)
    dispatch(dispatcher, {**originate, "Async": True})
    dispatch(dispatcher, {"Action": "Ping"})
    assert one.holding == [45.0, 0.0, 0.0]


@pytest.mark.parametrize("given", ["amiws-gevent-1", "\tamiws-gevent-"])
def test_action_ids_that_would_pass_for_ours_are_refused(given: str) -> None:
    dispatcher, (one,) = setup(None)
    for headers in ({"ActionID": given}, {"ActionID": "mine", "actionid": given}):
        (answer,) = dispatch(dispatcher, {"Action": "A", **headers})
        assert 'begins with "amiws-gevent-"' in answer["data"]["Message"]
        assert answer["data"]["ActionID"] == headers["ActionID"].lstrip()
    assert (one.sent, dispatcher.refused) == ([], 2)


def test_wrong_actions_have_a_line_a_minute_for_each_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    few = Limits(actions_per_second=10**6, actions_burst=10**6)
    dispatcher = Dispatcher({}, LogLimiter(60, clock), limits=ActionLimits(few, clock))
    for _ in range(1000):
        dispatch(dispatcher, "no action")
        dispatch(dispatcher, "no action", client=BOB)
    clock.now += 60
    dispatch(dispatcher, "no action")
    assert dispatcher.refused == 2001
    lines = caplog.messages
    assert [line.partition(" refused: ")[0] for line in lines] == [
        f"action of {name_of(ALICE)}",
        f"action of {name_of(BOB)}",
        f"action of {name_of(ALICE)}",
    ]
    assert lines[-1].endswith(" (999 more like it were not logged)")


def test_a_server_that_is_not_connected_has_a_line_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    down = NotConnected("not connected")
    dispatcher, _ = setup(*[down] * 6)
    for action in ("CoreSettings", "CoreStatus", "CoreShowChannels"):
        for client in (ALICE, BOB):
            assert len(dispatch(dispatcher, {"Action": action}, client=client)) == 6
    assert dispatcher.refused == 36
    assert caplog.messages == [
        f"action CoreSettings of {name_of(ALICE)} not sent to pbx{number}: not connected"
        for number in range(1, 7)
    ]


class TestAudit:
    def made(
        self, *errors: AmiwsError | None, limits: Limits | None = None, **more: Any
    ) -> tuple[Dispatcher, list[FakeLink], MemoryTrail]:
        _, links = setup(*errors)
        trail = MemoryTrail(**more)
        targets = {link.host.id: link for link in links}
        limit = ActionLimits(limits, Clock())
        return Dispatcher(targets, audit=trail, limits=limit), links, trail

    def test_an_action_is_sent_once_it_is_written(self) -> None:
        dispatcher, (one, _), trail = self.made(None, NotConnected("down"))
        trail.memory.open.clear()
        sending = gevent.spawn(dispatch, dispatcher, {"Action": "Ping", "ActionID": "7"})
        until(lambda: trail.told("action"))
        assert one.sent == []
        trail.memory.open.set()
        (answer,) = sending.get()
        assert answer["server_id"] == 2
        assert len(one.sent) == 1
        (action,) = trail.told("action")
        assert (action["user"], action["view"]) == ("alice", "classic")
        assert (action["action"], action["arguments"]) == ("Ping", {"ActionID": "7"})
        assert [server["id"] for server in action["servers"]] == [1, 2]
        replies = trail.told("reply")
        assert {reply["ref"] for reply in replies} == {action["ref"]}
        assert [(reply["server"], reply["outcome"]) for reply in replies] == [
            (1, "sent"),
            (2, "unreachable"),
        ]

    def test_what_is_refused(self) -> None:
        dispatcher, (one,), trail = self.made(None)
        dispatch(dispatcher, "no action")
        dispatch(dispatcher, {"Action": "Logoff", "ActionID": "a"})
        dispatch(dispatcher, {"Action": "Ping", "AMIServerID": 9})
        answers: list[bytes] = []
        dispatcher.dispatch(
            '{"Action": "Ping"}',
            client=BOB,
            authorize=lambda _action: "not today",
            answer=answers.append,
        )
        assert [(one["code"], one.get("action")) for one in trail.told("action")] == [
            ("bad_request", None),
            ("action_refused", None),
            ("unknown_server", "Ping"),
            ("not_allowed", "Ping"),
        ]
        assert one.sent == []

    def test_while_the_audit_cannot_be_written_none_is_sent(self) -> None:
        dispatcher, (one,), trail = self.made(None)
        trail.memory.fails_next = "No space left on device"
        (first,) = dispatch(dispatcher, {"Action": "Ping", "ActionID": "7"})
        assert first["data"] == {
            "Response": "Error",
            "ActionID": "7",
            "Message": "the audit cannot be written: No space left on device",
        }
        trail.fail("No space left on device")
        (second,) = dispatch(dispatcher, {"Action": "Ping", "ActionID": "8"})
        assert second["data"] == first["data"] | {"ActionID": "8"}
        assert one.sent == []
        assert trail.told("action")[-1]["code"] == "audit_unavailable"

    def test_or_all_are_sent_as_the_setting_says(self) -> None:
        dispatcher, (one,), trail = self.made(None, on_failure="allow")
        trail.memory.fails_next = "No space left on device"
        assert dispatch(dispatcher, {"Action": "Ping"}) == []
        assert len(one.sent) == 1

    def test_a_server_that_a_reload_removes_meanwhile(self) -> None:
        dispatcher, (one,), trail = self.made(None)
        trail.memory.open.clear()
        sending = gevent.spawn(dispatch, dispatcher, {"Action": "Ping", "ActionID": "7"})
        until(lambda: trail.told("action"))
        dispatcher.targets = {}
        trail.memory.open.set()
        (answer,) = sending.get()
        assert "no longer in the configuration" in answer["data"]["Message"]
        assert answer["data"]["ActionID"] == "7"
        assert one.sent == []

    def test_too_many_are_answered_with_when_to_come_again(self) -> None:
        limits = Limits(actions_per_second=1, actions_burst=2)
        dispatcher, (one,), trail = self.made(None, limits=limits)
        for _ in range(2):
            assert dispatch(dispatcher, {"Action": "Ping"}) == []
        (answer,) = dispatch(dispatcher, {"Action": "Ping", "ActionID": "7"})
        assert answer["data"]["Response"] == "Error"
        assert answer["data"]["ActionID"] == "7"
        assert "try again in 1.000 s" in answer["data"]["Message"]
        (answer,) = dispatch(dispatcher, "no action")
        assert "try again" in answer["data"]["Message"]
        assert dispatch(dispatcher, {"Action": "Ping"}, client=BOB) == []
        assert len(one.sent) == 3
        assert [one.get("code") for one in trail.told("action")][2] == "actions_too_fast"

    def test_an_answer_is_known_by_its_actionid(self) -> None:
        dispatcher, _, trail = self.made(None)
        dispatch(dispatcher, {"Action": "Ping", "ActionID": "7"})
        dispatch(dispatcher, {"Action": "Ping"})
        pong = Message(Kind.RESPONSE, {"Response": "Success", "ActionID": "7"})
        dispatcher.heard(1, [pong, Message(Kind.RESPONSE, {"Response": "Success"})])
        assert [one["outcome"] for one in trail.told("reply")] == ["sent", "sent", "answered"]
        assert trail.told("reply")[2]["ref"] == trail.told("action")[0]["ref"]

    def test_without_an_audit_nothing_is_remembered(self) -> None:
        dispatcher, _ = setup(None)
        dispatch(dispatcher, {"Action": "Ping", "ActionID": "7"})
        assert len(dispatcher._awaited) == 0


# Roles


def limited(*see: Any, do: Any = ()) -> tuple[Dispatcher, list[FakeLink]]:
    links = [FakeLink(ami_host(id=number, name=f"pbx{number}")) for number in (1, 2)]
    given = rights(list(see), do)
    return Dispatcher({link.host.id: link for link in links}, rights_of=lambda _: given), links


def refusal(answers: list[Any]) -> str:
    (answer,) = answers
    assert (answer["server_id"], answer["data"]["Response"]) == (0, "Error")
    return str(answer["data"]["Message"])


def test_what_no_rule_allows_is_refused_with_the_actionid_of_who_asks() -> None:
    dispatcher, (one, two) = limited({"servers": "*"}, do=[{"action": "Ping"}])
    assert dispatch(dispatcher, {"Action": "Ping"}) == []
    answers = dispatch(dispatcher, {"Action": "Command", "Command": "x", "ActionID": "7"})
    assert refusal(answers) == "your roles (agent) do not allow Command"
    assert answers[0]["data"]["ActionID"] == "7"
    assert one.sent == two.sent == [b"Action: Ping\r\n\r\n"]


def test_servers_that_are_not_seen_are_none() -> None:
    dispatcher, (one, two) = limited({"servers": "pbx1"}, do=[{"action": "Ping"}])
    assert dispatch(dispatcher, {"Action": "Ping"}) == []
    said = refusal(dispatch(dispatcher, {"Action": "Ping", "AMIServerID": 2}))
    assert said == "AMIServerID 2: no such server (there are: 1)"
    assert (len(one.sent), two.sent) == (1, [])


def test_servers_whose_answers_are_not_shown_get_nothing() -> None:
    part = {"servers": "Berlin", "queues": "support"}
    dispatcher, (one, two) = limited({"servers": "pbx1"}, part, do=[{"action": "Ping"}])
    assert dispatch(dispatcher, {"Action": "Ping"}) == []
    said = refusal(dispatch(dispatcher, {"Action": "Ping", "AMIServerID": 2}))
    assert said.endswith("do not allow the classic socket for server 2; use amiws.v2")
    assert (len(one.sent), two.sent) == (1, [])
    dispatcher, _ = limited(part, do=[{"action": "Ping"}])
    assert "the classic socket" in refusal(dispatch(dispatcher, {"Action": "Ping"}))


def test_who_has_no_role_sends_nothing() -> None:
    dispatcher, (one, _) = limited()
    for action in ({"Action": "Ping"}, {"Action": "Ping", "AMIServerID": 1}):
        assert "you see no server" in refusal(dispatch(dispatcher, action))
    assert one.sent == []


def test_a_role_refuses_before_plugins_are_asked() -> None:
    dispatcher, _ = limited({"servers": "*"}, do=[{"action": "Ping"}])
    asked: list[str] = []
    dispatcher.dispatch(
        '{"Action": "Command"}',
        client=ALICE,
        authorize=lambda action: asked.append(action.name),
        answer=lambda _: None,
    )
    assert asked == []


def test_rights_that_change_while_a_plugin_decides() -> None:
    links = [FakeLink(ami_host(id=1, name="pbx1"))]
    now = [rights("everything", [{"action": "Ping"}])]
    dispatcher = Dispatcher({1: links[0]}, rights_of=lambda _: now[-1])
    answers: list[bytes] = []
    dispatcher.dispatch(
        '{"Action": "Ping"}',
        client=ALICE,
        authorize=lambda _action: now.append(rights()),
        answer=answers.append,
    )
    assert b"its rights have changed" in answers[0]
    assert links[0].sent == []
