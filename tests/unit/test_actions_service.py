"""The service with scripted links; and with a real link to a scripted server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.actions import ActionProblem, ActionRequest, ActionService, Reply
from amiws_gevent.actions.service import MOST, MOST_OF_A_CLIENT
from amiws_gevent.ami import Message
from amiws_gevent.config import Limits
from amiws_gevent.errors import NotConnected, SendBufferFull
from amiws_gevent.link import Answer, AnswerLost, LinkState
from amiws_gevent.pipeline import Pipeline
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.runtime.log import LogLimiter
from tests.support.actions import (
    ALICE,
    BOB,
    ScriptedLink,
    Told,
    answered,
    as_it_is,
    asked,
    item,
    response,
    settle,
)
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.links import SLOW, Watched
from tests.support.patience import WAIT
from tests.support.plugins import entry, running
from tests.support.policy import rights

PING = (("Action", "Ping"),)


def serving(*links: ScriptedLink, **options: Any) -> ActionService:
    return ActionService({link.host.id: link for link in links}, as_it_is, **options)


def refused(service: ActionService, request: ActionRequest, client: ClientInfo = ALICE) -> str:
    told = Told()
    with pytest.raises(ActionProblem) as caught:
        service.submit(request, client, told)
    settle()
    assert told.replies == []
    return caught.value.code


class TestServers:
    def test_one_some_or_all(self) -> None:
        links = [ScriptedLink(number) for number in (1, 2, 3)]
        service = serving(*links)
        for given, servers in ((2, [2]), ([3, 1], [3, 1]), ("all", [1, 2, 3])):
            told = Told()
            submission = service.submit(asked({"Action": "Ping"}, given), ALICE, told)
            assert submission.replies == len(servers)
            assert [reply.server for reply in told.wait(len(servers))] == servers
            assert told.counts == [len(servers)] * len(servers)
        assert [len(link.asked) for link in links] == [2, 2, 2]
        assert links[0].asked[0] == (PING, 10.0, False)
        assert (service.sent, service.outcomes) == (6, {"answered": 6})

    def test_of_an_unknown_one_nothing_is_sent(self) -> None:
        one = ScriptedLink()
        service = serving(one)
        for given in (7, [1, 7], 0):
            assert refused(service, asked(server=given)) == "unknown_server"
        assert one.asked == []
        assert refused(serving(), asked(server="all")) == "unknown_server"

    def test_those_that_do_not_get_it_are_told_at_once_and_the_others_go_on(self) -> None:
        down = ScriptedLink(2, NotConnected("pbx2 is not connected (why)"))
        full = ScriptedLink(3, SendBufferFull("pbx3 does not read"))
        reason = "the outcome of Ping is unknown: reset"
        nothing = Answer(None, (), None, False, reason, "", lost=True)
        lost = ScriptedLink(4, AnswerLost(nothing))
        service = serving(ScriptedLink(1), down, full, lost)
        told = Told()
        service.submit(asked({"Action": "Ping", "ActionID": "7"}, "all"), ALICE, told)
        told.wait(4)
        assert told.outcomes == ["answered", "unreachable", "unreachable", "unknown"]
        assert [reply.reason for reply in told.replies[1:]] == [
            "pbx2 is not connected (why)",
            "pbx3 does not read",
            "the outcome of Ping is unknown: reset",
        ]
        assert [reply.retry_after for reply in told.replies] == [None, None, 1.0, None]
        assert {reply.action_id for reply in told.replies} == {"7"}
        assert (service.sent, service.not_sent) == (2, 2)

    def test_one_that_a_reload_has_taken_away_meanwhile(self) -> None:
        links = {1: ScriptedLink()}
        service, told = ActionService(links, as_it_is), Told()
        service.submit(asked(), ALICE, told)
        links.clear()
        assert told.wait()[0].outcome == "unreachable"
        assert "no longer in the configuration" in told.replies[0].reason


class TestOriginate:
    done = item("OriginateResponse", Response="Success", Uniqueid="1.5", Channel="SIP/1-0")

    def test_what_came_of_it(self) -> None:
        one = ScriptedLink(answer=answered(end=self.done))
        service = serving(one, call_of=lambda server, uniqueid: f"call {server} {uniqueid}")
        told = Told()
        service.submit(asked({"Action": "Originate", "Channel": "SIP/1"}, wait=True), ALICE, told)
        given = told.wait()[0].as_json()
        assert (given["uniqueid"], given["channel"], given["call"]) == (
            "1.5",
            "SIP/1-0",
            "call 1 1.5",
        )
        headers, timeout, wait = one.asked[0]
        assert dict(headers)["Async"] == "true"
        assert (timeout, wait) == (35.0, True)

    def test_without_waiting_the_channel_is_known_that_the_client_has_chosen(self) -> None:
        told = Told()
        action = {"Action": "Originate", "Channel": "SIP/1", "ChannelId": "mine"}
        serving(ScriptedLink()).submit(asked(action), ALICE, told)
        given = told.wait()[0].as_json()
        assert (given["uniqueid"], given["channel"], given["call"]) == ("mine", None, None)

    def test_where_the_server_refuses_there_is_no_call(self) -> None:
        refusal = answered(response(Response="Error", Message="No"), refusal="No")
        told = Told()
        action = {"Action": "Originate", "ChannelId": "mine"}
        serving(ScriptedLink(answer=refusal)).submit(asked(action), ALICE, told)
        assert "uniqueid" not in told.wait()[0].as_json()


class TestBounds:
    def test_a_client_has_so_many_at_once_and_others_have_theirs(self) -> None:
        one = ScriptedLink()
        one.open.clear()
        service = serving(one)
        submissions = [service.submit(asked(), ALICE, Told()) for _ in range(MOST_OF_A_CLIENT)]
        with pytest.raises(ActionProblem) as caught:
            service.submit(asked(), ALICE, Told())
        assert (caught.value.code, caught.value.status) == ("too_many_actions", 429)
        assert caught.value.retry_after
        service.submit(asked(), BOB, Told())
        submissions[0].cancel()
        told = Told()
        service.submit(asked(), ALICE, told)
        one.open.set()
        told.wait()
        settle()
        for _ in range(MOST_OF_A_CLIENT):
            service.submit(asked(), ALICE, Told())
        settle()
        assert service.at_work == 0
        assert not service._of_client, "nothing is kept of who is gone"

    def test_all_have_so_many_together(self) -> None:
        links = [ScriptedLink(number) for number in range(1, 101)]
        for link in links:
            link.open.clear()
        service = serving(*links)
        submissions = [
            service.submit(asked(server="all"), ALICE, Told()) for _ in range(MOST // len(links))
        ]
        assert service.at_work == MOST
        assert refused(service, asked(), BOB) == "too_many_actions"
        submissions[0].cancel()
        service.submit(asked(), BOB, Told())
        for submission in submissions:
            submission.cancel()
        settle()
        assert service.at_work == 1

    def test_one_that_asks_more_servers_than_that_is_served_alone(self) -> None:
        service = serving(*[ScriptedLink(number) for number in range(1, MOST + 2)])
        told = Told()
        service.submit(asked(server="all"), ALICE, told)
        told.wait(MOST + 1)

    def test_who_leaves_ends_its_greenlets(self) -> None:
        one = ScriptedLink()
        one.open.clear()
        service, told = serving(one), Told()
        submission = service.submit(asked(), ALICE, told)
        until(lambda: one.at_work == 1)
        submission.cancel()
        until(lambda: one.at_work == 0)
        one.open.set()
        settle()
        assert told.replies == []
        assert (service.at_work, service.sent) == (0, 1)


class TestKeys:
    def test_the_first_replies_come_again_and_nothing_is_sent_twice(self) -> None:
        one, two = ScriptedLink(1), ScriptedLink(2)
        one.open.clear()
        service = serving(one, two)
        first, during, after = Told(), Told(), Told()
        request = asked(server="all", idempotency_key="k")
        service.submit(request, ALICE, first)
        until(lambda: first.replies)
        elsewhere = ClientInfo("198.51.100.1:9", "alice", "api")
        assert service.submit(request, elsewhere, during).replies == 2
        until(lambda: during.replies)
        one.open.set()
        service.submit(request, ALICE, after)
        for told in (first, during, after):
            assert sorted(reply.server for reply in told.wait(2)) == [1, 2]
        assert [len(link.asked) for link in (one, two)] == [1, 1]
        service.submit(request, BOB, Told())
        settle()
        assert len(one.asked) == 2, "another user's key is another key"

    def test_it_goes_on_when_its_client_is_gone_and_tells_who_comes_back(self) -> None:
        one = ScriptedLink()
        one.open.clear()
        service = serving(one)
        request = asked(idempotency_key="k")
        service.submit(request, ALICE, Told()).cancel()
        settle()
        told = Told()
        service.submit(request, ALICE, told)
        one.open.set()
        assert told.wait()[0].outcome == "answered"
        assert len(one.asked) == 1

    def test_without_a_login_it_is_the_addresss(self) -> None:
        one = ScriptedLink()
        service = serving(one)
        request = asked(idempotency_key="k")
        for address in ("192.0.2.1:1", "192.0.2.1:2", "192.0.2.1", "[::1]:5", "192.0.2.2:1"):
            told = Told()
            service.submit(request, ClientInfo(address, None, "v2"), told)
            told.wait()
        assert len(one.asked) == 3
        service.submit(request, ClientInfo("x:1", "192.0.2.1", "v2"), Told())
        settle()
        assert len(one.asked) == 4, "a user of that name is another"

    def test_another_request_is_a_conflict(self) -> None:
        service = serving(ScriptedLink())
        service.submit(asked(idempotency_key="k"), ALICE, Told())
        assert refused(service, asked({"Action": "B"}, idempotency_key="k")) == (
            "idempotency_conflict"
        )

    def test_where_nothing_was_sent_the_key_may_be_used_again(self) -> None:
        one = ScriptedLink(answer=NotConnected("down"))
        service, told, again = serving(one), Told(), Told()
        request = asked(idempotency_key="k")
        service.submit(request, ALICE, told)
        told.wait()
        one.answer = answered()
        service.submit(request, ALICE, again)
        assert again.wait()[0].outcome == "answered"

    def test_they_are_kept_for_ten_minutes(self) -> None:
        clock, one = Clock(), ScriptedLink()
        service = serving(one, clock=clock)
        request = asked(idempotency_key="k")
        for seconds, sent in ((0, 1), (599, 1), (1, 2)):
            clock.now += seconds
            told = Told()
            service.submit(request, ALICE, told)
            told.wait()
            assert len(one.asked) == sent


class TestHooks:
    def service(self, folder: Path, source: str, *links: ScriptedLink) -> ActionService:
        service = serving(*links)
        service.plugins = running(entry(folder, source))
        service.plugins.running[0].start()
        return service

    def test_they_decide_for_each_submit_before_anything_is_sent(self, tmp_path: Path) -> None:
        one = ScriptedLink()
        service = self.service(
            tmp_path,
            """
            def amiws_authorize_action(action, client):
                if action.name == "Originate":
                    return f"{client.user} may not call with {dict(action.headers)['Async']}"
                if action.name == "Broken":
                    raise ValueError
                if action.name == "Odd":
                    return 7
            """,
            one,
        )
        with pytest.raises(ActionProblem) as caught:
            service.submit(asked({"Action": "Originate"}), ALICE, Told())
        assert caught.value.message == "alice may not call with true"
        assert (caught.value.code, caught.value.status) == ("not_allowed", 403)
        for name in ("Broken", "Odd"):
            assert refused(service, asked({"Action": name})) == "not_allowed"
        assert one.asked == []
        told = Told()
        service.submit(asked({"Action": "Ping"}), ALICE, told)
        assert told.wait()[0].outcome == "answered"
        service.plugins.stop()

    def test_of_a_list_of_servers_all_must_be_allowed(self, tmp_path: Path) -> None:
        links = [ScriptedLink(number) for number in (1, 2)]
        service = self.service(
            tmp_path,
            """
            SEEN = []
            def amiws_authorize_action(action):
                SEEN.append((action.server_id, action.action_id))
                return action.server_id == 1
            """,
            *links,
        )
        action = {"Action": "Ping", "ActionID": "7"}
        for given in (2, [1, 2], "all"):
            assert refused(service, asked(action, given)) == "not_allowed"
        service.submit(asked(action, [1]), ALICE, Told())
        settle()
        assert [len(link.asked) for link in links] == [1, 0]
        seen = service.plugins.running[0].code.plugin.SEEN  # type: ignore[attr-defined]
        assert seen == [(2, "7"), (1, "7"), (2, "7"), (None, "7"), (1, "7")]
        service.plugins.stop()

    def test_a_known_key_does_not_go_past_them(self, tmp_path: Path) -> None:
        service = self.service(
            tmp_path, "def amiws_authorize_action():\n    return True\n", ScriptedLink()
        )
        request = asked(idempotency_key="k")
        service.submit(request, ALICE, Told())
        service.plugins.stop()
        other = running(entry(tmp_path, "def amiws_authorize_action():\n    return False\n"))
        service.plugins = other
        assert refused(service, request) == "not_allowed"

    def test_what_plugins_mask_is_masked_in_replies(self, tmp_path: Path) -> None:
        source = """
            def amiws_filter_message():
                return False
            def amiws_transform_message(message, server):
                if message.has("CallerIDNum"):
                    return message.replace("CallerIDNum", server.name)
            """
        pipeline = Pipeline(lambda _: None, running(entry(tmp_path, source, hook_timeout=600.0)))
        listed = answered(items=[item("A", CallerIDNum="5145550199"), item("B")])
        service = ActionService({1: ScriptedLink(answer=listed)}, pipeline.shown)
        told = Told()
        service.submit(asked(), ALICE, told)
        (reply,) = told.wait()
        assert list(reply.items) == [{"Event": "A", "CallerIDNum": "pbx1"}, {"Event": "B"}]
        assert (reply.complete, reply.response) == (True, {"Response": "Success"})


class TestLog:
    def test_refusals_have_a_line_a_minute_for_each_client_and_are_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        clock = Clock()
        service = serving(ScriptedLink(), limiter=LogLimiter(60, clock))
        for _ in range(100):
            for client in (ALICE, BOB):
                refused(service, asked(server=9), client)
        with pytest.raises(ActionProblem):
            service.parse({"server": 1, "action": {"Action": "Logoff"}}, ALICE)
        with pytest.raises(ActionProblem):
            service.parse({"server": 1})
        clock.now += 60
        refused(service, asked(server=9))
        alice, bob, again = caplog.messages
        told = "refused: server 9: no such server (there are: 1)"
        assert alice == f"action of 192.0.2.7:5001 (alice) {told}"
        assert bob == f"action of 192.0.2.7:5002 (bob) {told}"
        assert again == f"{alice} (100 more like it were not logged)"
        assert service.refused == {"unknown_server": 201, "action_refused": 1}
        assert service.not_sent == 202

    def test_a_server_that_is_not_connected_has_a_line_a_minute(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        service = serving(ScriptedLink(1, NotConnected("not connected")))
        for client in (ALICE, BOB):
            told = Told()
            service.submit(asked(), client, told)
            told.wait()
        assert caplog.messages == [
            "action CoreStatus of 192.0.2.7:5001 (alice) not sent to pbx1: not connected"
        ]


# -- with a real link ------------------------------------------------------------------

Answers = Callable[[Connection, Packet], bytes | None]


class Real:
    """A link that is connected to ``server``, and the service with it."""

    def __init__(self, server: AmiServer, answers: Answers, limits: Limits | None = None) -> None:
        server.on_action = answers
        self.server = server
        self.watched = Watched(server.port, SLOW, limits)
        self.service = ActionService({1: self.watched.link}, as_it_is)

    def __enter__(self) -> Real:
        self.watched.link.start()
        self.watched.until_state(LinkState.CONNECTED)
        return self

    def __exit__(self, *_: object) -> None:
        self.watched.link.stop()

    def submit(self, action: Any, client: ClientInfo = ALICE, **more: Any) -> Told:
        told = Told()
        given = {"server": 1, "action": action, **more}
        self.service.submit(self.service.parse(given), client, told)
        return told

    @property
    def passed_on(self) -> str:
        """All that classic clients, logs and plugins see."""
        return str(self.watched.messages)


def event(name: str, *lines: str) -> bytes:
    return "\r\n".join([f"Event: {name}", *lines, "\r\n"]).encode()


def queue_status(packet: Packet, members: int, *, lists: bool) -> bytes:
    """As Asterisk from 12 on, or (not ``lists``) 11 answers it; between the items is news."""
    own = f"ActionID: {packet.get('ActionID')}"
    start = ["EventList: start"] if lists else []
    end = ["EventList: Complete"] if lists else []
    parts = [
        answer(packet, *start, "Message: Queue status will follow"),
        event("QueueParams", "Queue: sales", own),
        event("QueueMemberStatus", "Privilege: agent,all", "Queue: sales"),
        *[event("QueueMember", "Queue: sales", f"Name: {n}", own) for n in range(members)],
        event("QueueStatusComplete", *end, own),
    ]
    return b"".join(parts)


class TestReal:
    @pytest.mark.parametrize("lists", [True, False], ids=["13", "11"])
    def test_a_list_is_whole_also_on_a_slow_link(self, lists: bool, server: AmiServer) -> None:
        def slowly(connection: Connection, packet: Packet) -> None:
            data = queue_status(packet, 20, lists=lists)
            connection.send_pieces(data, 40, pause=0.002)

        with Real(server, slowly) as real:
            told = real.submit({"Action": "QueueStatus", "ActionID": "mine"})
            (reply,) = told.wait()
            assert (reply.outcome, reply.complete) == ("answered", True)
            assert [one.get("Name") for one in reply.items] == [None, *map(str, range(20))]
            assert reply.end is not None
            assert reply.end["Event"] == "QueueStatusComplete"
            assert real.watched.seen()[2:] == ["QueueMemberStatus"]
            assert "mine" not in str(server.actions)

    def test_two_with_the_same_action_id_at_once_have_each_their_own(
        self, server: AmiServer
    ) -> None:
        def echo(_connection: Connection, packet: Packet) -> bytes:
            own = f"ActionID: {packet.get('ActionID')}"
            who = f"Who: {packet.get('Who')}"
            complete = event("QueueStatusComplete", "EventList: Complete", own)
            return answer(packet, "EventList: start") + event("QueueMember", who, own) + complete

        with Real(server, echo) as real:
            told = {
                client: real.submit(
                    {"Action": "QueueStatus", "ActionID": "1", "Who": client.user}, client
                )
                for client in (ALICE, BOB) * 5
            }
            for client, one in told.items():
                (reply,) = one.wait()
                expected = {"Event": "QueueMember", "Who": client.user, "ActionID": "1"}
                assert list(reply.items) == [expected]
            ids = [packet.get("ActionID") for packet in server.actions[1:]]
            assert len({*ids, "1"}) == 11
            assert max(map(len, ids)) <= 60
            assert "QueueMember" not in real.passed_on
            assert "amiws-gevent" not in real.passed_on

    def test_queues_of_asterisk_13_is_text(self, server: AmiServer) -> None:
        text = (
            "sales has 0 calls (max unlimited) in 'ringall' strategy (0s holdtime, 0s talktime),"
            " W:0, C:0, A:0, SL:0.0% within 0s\r\n   No Members\r\n   No Callers\r\n\r\n"
        )
        with Real(server, lambda _connection, _packet: text.encode()) as real:
            (reply,) = real.submit({"Action": "Queues"}).wait()
            assert (reply.outcome, reply.complete, reply.response) == ("answered", True, None)
            assert [one["QueueName"] for one in reply.items] == ["sales"]
            assert "sales" not in real.passed_on

    @pytest.mark.parametrize("era", ["Follows", "Output"])
    def test_the_output_of_a_command(self, era: str, server: AmiServer) -> None:
        def command(_connection: Connection, packet: Packet) -> bytes:
            own = f"ActionID: {packet.get('ActionID')}\r\n"
            if era == "Output":
                return answer(packet, "Message: Command output follows", "Output: a", "Output:  b")
            head = f"Response: Follows\r\nPrivilege: Command\r\n{own}"
            return f"{head}a\n b\n--END COMMAND--\r\n\r\n".encode()

        with Real(server, command) as real:
            action = {"Action": "Command", "Command": "core show uptime"}
            (reply,) = real.submit(action).wait()
            assert (reply.outcome, reply.complete, reply.output) == ("answered", True, ["a", " b"])
            assert reply.response is not None
            assert "Output" not in reply.response

    def test_a_server_that_never_answers_gives_what_there_is_in_time(
        self, server: AmiServer
    ) -> None:
        def half(_connection: Connection, packet: Packet) -> bytes:
            own = f"ActionID: {packet.get('ActionID')}"
            return answer(packet, "EventList: start") + event("QueueMember", "Name: a", own)

        with Real(server, half) as real:
            told = real.submit({"Action": "QueueStatus"}, timeout=0.5)
            (reply,) = told.wait()
            assert (reply.outcome, reply.complete) == ("timeout", False)
            assert reply.reason == "no whole answer within 0.5 s"
            assert [one["Name"] for one in reply.items] == ["a"]

    def test_a_connection_lost_within_a_list_is_unknown_with_what_came(
        self, server: AmiServer
    ) -> None:
        def half(connection: Connection, packet: Packet) -> None:
            own = f"ActionID: {packet.get('ActionID')}"
            start = answer(packet, "EventList: start")
            connection.send(start + event("QueueMember", "Name: a", own))
            connection.close()

        with Real(server, half) as real:
            (reply,) = real.submit({"Action": "QueueStatus"}, timeout=60).wait()
            assert (reply.outcome, reply.complete) == ("unknown", False)
            assert "the outcome of QueueStatus is unknown" in reply.reason
            assert reply.response is not None
            assert [one["Name"] for one in reply.items] == ["a"]

    def test_a_lost_connection_is_told_at_once(self, server: AmiServer) -> None:
        with Real(server, lambda _connection, _packet: None) as real:
            told = [
                real.submit({"Action": "Originate"}, timeout=300, wait=True),
                real.submit({"Action": "QueueStatus"}, timeout=60),
            ]
            server.wait_for("QueueStatus")
            server.kill()
            for one, name in zip(told, ("Originate", "QueueStatus"), strict=True):
                (reply,) = one.wait()
                assert reply.outcome == "unknown"
                assert f"the outcome of {name} is unknown" in reply.reason
            (reply,) = real.submit({"Action": "Ping"}).wait()
            assert reply.outcome == "unreachable"
            assert "not connected" in reply.reason
            assert "Ping" not in [packet.action for packet in server.actions]

    def test_a_server_that_does_not_read(self, server: AmiServer) -> None:
        with Real(server, lambda *_: None, Limits(ami_send_buffer=1000)) as real:
            (reply,) = real.submit({"Action": "A", "X": "x" * 990}).wait()
            assert (reply.outcome, reply.retry_after) == ("unreachable", 1.0)

    def test_who_has_left_gets_nothing_and_nobody_else_does(self, server: AmiServer) -> None:
        gone = threading.Event()

        def late(_connection: Connection, packet: Packet) -> bytes:
            gone.wait(WAIT)
            return queue_status(packet, 3, lists=True)

        with Real(server, late) as real:
            told = Told()
            submission = real.service.submit(asked({"Action": "QueueStatus"}), ALICE, told)
            server.wait_for("QueueStatus")
            submission.cancel()
            until(lambda: real.watched.link.under_way == 0)
            gone.set()
            (reply,) = real.submit({"Action": "QueueStatus"}, BOB).wait()
            assert reply.complete
            assert told.replies == []
            assert "QueueMember'" not in real.passed_on

    def test_a_server_that_refuses(self, server: AmiServer) -> None:
        def no(_connection: Connection, packet: Packet) -> bytes:
            return answer(packet, "Message: Permission denied", response="Error")

        with Real(server, no) as real:
            (reply,) = real.submit({"Action": "QueueStatus"}).wait()
            assert (reply.outcome, reply.complete) == ("refused", True)
            assert reply.reason == "Permission denied"


class TestRealOriginate:
    """What became of it goes to all sessions, before or behind the response."""

    @staticmethod
    def told(packet: Packet, result: str = "Success") -> bytes:
        return event(
            "OriginateResponse",
            "Privilege: call,all",
            f"ActionID: {packet.get('ActionID')}",
            f"Response: {result}",
            "Channel: SIP/1-00000001",
            "Uniqueid: 1700000000.5",
        )

    @pytest.fixture
    def first(self) -> Iterator[threading.Event]:
        rang = threading.Event()
        yield rang
        rang.set()

    def test_its_reply_waits_and_others_are_answered_meanwhile(
        self, server: AmiServer, first: threading.Event
    ) -> None:
        def answers(connection: Connection, packet: Packet) -> bytes:
            if packet.action == "Originate":
                packets.append(packet)
            return answer(packet)

        packets: list[Packet] = []
        with Real(server, answers) as real:
            originate = real.submit({"Action": "Originate", "Channel": "SIP/1"}, wait=True)
            assert real.submit({"Action": "A"}).wait()[0].outcome == "answered"
            assert originate.replies == []
            assert packets[0].get("Async") == "true"
            server.send(self.told(packets[0]))
            (reply,) = originate.wait()
            given = reply.as_json()
            assert (reply.outcome, reply.complete) == ("answered", True)
            assert (given["uniqueid"], given["channel"]) == ("1700000000.5", "SIP/1-00000001")
            assert given["end"]["Response"] == "Success"
            assert "ActionID" not in given["end"]

    def test_it_may_overtake_the_response(self, server: AmiServer) -> None:
        with Real(server, lambda _c, packet: self.told(packet, "Failure") + answer(packet)) as real:
            (reply,) = real.submit({"Action": "Originate"}, wait=True).wait()
            assert (reply.outcome, reply.complete) == ("answered", True)
            assert reply.end is not None
            assert reply.end["Response"] == "Failure"

    def test_a_late_one_goes_to_nobody(self, server: AmiServer) -> None:
        with Real(server, lambda _connection, packet: answer(packet)) as real:
            told = real.submit({"Action": "Originate"}, wait=True, timeout=0.2)
            (reply,) = told.wait()
            assert (reply.outcome, reply.complete, reply.end) == ("timeout", False, None)
            server.send(self.told(server.actions[-1]))
            until(lambda: "OriginateResponse" in real.watched.seen())
            assert len(told.replies) == 1

    def test_without_waiting_the_response_is_all(self, server: AmiServer) -> None:
        with Real(server, lambda _connection, packet: answer(packet)) as real:
            (reply,) = real.submit({"Action": "Originate", "Async": "false"}).wait()
            assert (reply.outcome, reply.complete) == ("answered", True)
            sent = server.actions[-1]
            assert [value for name, value in sent if name.lower() == "async"] == ["true"]


def test_submitting_does_not_wait_for_a_server() -> None:
    one = ScriptedLink()
    one.open.clear()
    with gevent.Timeout(WAIT):
        serving(one).submit(asked(), ALICE, Told()).cancel()


class TestRights:
    """What roles allow, and what they let be seen of an answer."""

    class Site:
        def __init__(self, *links: ScriptedLink, **roles: Any) -> None:
            self.rights = rights(**roles)
            self.service = serving(*links, rights_of=lambda _: self.rights)

        def ask(self, action: Any, server: Any = 1, **more: Any) -> Reply:
            told = Told()
            self.service.submit(asked(action, server, **more), ALICE, told)
            return told.wait(1)[0]

    def test_nothing_is_sent_that_no_rule_allows(self) -> None:
        link = ScriptedLink()
        site = self.Site(link, see="everything", do=[{"action": "Ping"}])
        assert site.ask({"Action": "ping"}).outcome == "answered"
        assert refused(site.service, asked({"Action": "CoreStatus"})) == "not_allowed"
        assert len(link.asked) == 1

    def test_all_servers_are_those_that_are_seen(self) -> None:
        links = [ScriptedLink(number) for number in (1, 2)]
        site = self.Site(*links, see={"servers": "pbx1"}, do=[{"action": "Ping"}])
        assert site.ask({"Action": "Ping"}, "all").server == 1
        assert refused(site.service, asked({"Action": "Ping"}, 2)) == "unknown_server"
        assert links[1].asked == []

    def test_a_rule_for_one_server_is_none_for_all(self) -> None:
        links = [ScriptedLink(number) for number in (1, 2)]
        rule = {"action": "Ping", "servers": "pbx1"}
        site = self.Site(*links, see="everything", do=[rule])
        assert refused(site.service, asked({"Action": "Ping"}, "all")) == "not_allowed"
        assert links[0].asked == links[1].asked == []

    def test_pseudonyms_become_numbers_on_the_way(self) -> None:
        link = ScriptedLink()
        rule = {"action": "Hangup", "with": {"Channel": "PJSIP/*"}}
        site = self.Site(link, see={"numbers": "masked"}, do=[rule])
        shown = site.rights.sight.hidden("PJSIP/0170123456-0001")
        assert "0170123456" not in shown
        site.ask({"Action": "Hangup", "Channel": shown})
        assert dict(link.asked[0][0])["Channel"] == "PJSIP/0170123456-0001"

    def test_an_action_id_comes_back_as_it_was(self) -> None:
        """It is the client's own; with a pseudonym in it anybody could find who is behind one."""
        items = [item("QueueParams", Queue="support")]
        end = item("QueueStatusComplete", EventList="Complete")
        link = ScriptedLink(1, answered(items=items, end=end))
        site = self.Site(link, see={"numbers": "masked"}, do=[{"action": "QueueStatus"}])
        reply = site.ask({"Action": "QueueStatus", "ActionID": "0170123456"})
        for message in (reply.response, reply.end, *reply.items):
            assert message is not None
            assert message["ActionID"] == "0170123456"

    def test_a_refusal_does_not_tell_which_pseudonym_a_number_has(self) -> None:
        rule = {"action": "Hangup", "with": {"Channel": "PJSIP/2*"}}
        site = self.Site(ScriptedLink(), see={"numbers": "masked"}, do=[rule])
        with pytest.raises(ActionProblem) as caught:
            site.ask({"Action": "Hangup", "Channel": "PJSIP/0170123456-1"})
        assert str(caught.value).endswith("do not allow Hangup for Channel PJSIP/#-1")

    def test_a_number_is_not_the_request_that_its_pseudonym_was(self) -> None:
        """Else who has one tries numbers with the same key until there is no conflict."""
        rule = {"action": "Hangup", "with": {"Channel": "PJSIP/*"}}
        site = self.Site(ScriptedLink(), see={"numbers": "masked"}, do=[rule])
        shown = site.rights.sight.hidden("PJSIP/0170123456-0001")
        again = {"idempotency_key": "k"}
        site.ask({"Action": "Hangup", "Channel": shown}, **again)
        guess = asked({"Action": "Hangup", "Channel": "PJSIP/0170123456-0001"}, **again)
        assert refused(site.service, guess) == "idempotency_conflict"
        assert site.ask({"Action": "Hangup", "Channel": shown}, **again).outcome == "answered"

    def test_replies_have_what_is_seen_and_do_not_count_the_rest(self) -> None:
        items = [item("QueueParams", Queue=queue) for queue in ("support", "sales")]
        end = item("QueueStatusComplete", EventList="Complete", ListItems="2")
        link = ScriptedLink(1, answered(items=items, end=end))
        rule = {"action": "QueueStatus"}
        site = self.Site(link, see={"queues": "support"}, do=[rule])
        reply = site.ask({"Action": "QueueStatus"})
        assert [one["Queue"] for one in reply.items] == ["support"]
        assert (reply.complete, reply.reason) == (True, "")
        assert reply.end is not None
        assert "ListItems" not in reply.end

    def test_what_plugins_hold_back_of_the_unseen_is_no_hint(self) -> None:
        items = [item("QueueParams", Queue=queue) for queue in ("support", "sales")]
        link = ScriptedLink(1, answered(items=items))
        for held, withheld in (("sales", False), ("support", True)):
            given = rights({"queues": "support"}, [{"action": "QueueStatus"}])

            def shown(_: Any, said: Sequence[Message], held: str = held) -> Sequence[Message]:
                return [one for one in said if one.get("Queue") != held]

            service = ActionService({1: link}, shown, rights_of=lambda _, given=given: given)
            told = Told()
            service.submit(asked({"Action": "QueueStatus"}), ALICE, told)
            (reply,) = told.wait(1)
            assert ("hold back 1" in reply.reason) is withheld

    def test_the_channel_of_somebody_else_does_not_tell_its_call(self) -> None:
        """A ChannelId that is taken: Asterisk queues the call all the same, and makes none."""
        rule = {
            "action": "Originate",
            "with": {"Channel": "SIP/1", "Context": "in", "Exten": "1", "ChannelId": "*"},
        }
        given = rights({"queues": "support"}, [rule])
        failure = item("OriginateResponse", Response="Failure", Uniqueid="<null>", Channel="SIP/1")
        success = item("OriginateResponse", Response="Success", Uniqueid="1.5", Channel="SIP/1-0")
        action = {"Action": "Originate", "Channel": "SIP/1", "Context": "in", "Exten": "1"}
        for end, call in ((None, None), (failure, None), (success, "call of 1.5")):
            service = serving(
                ScriptedLink(answer=answered(end=end)),
                rights_of=lambda _: given,
                call_of=lambda _, uniqueid: f"call of {uniqueid}",
            )
            told = Told()
            service.submit(asked({**action, "ChannelId": "9.9"}, wait=True), ALICE, told)
            assert told.wait()[0].as_json()["call"] == call

    def test_rights_that_change_amid_an_action(self) -> None:
        link = ScriptedLink()
        site = self.Site(link, see="everything", do=[{"action": "CoreStatus"}])
        link.open.clear()
        told = Told()
        site.service.submit(asked(), ALICE, told)
        until(lambda: link.at_work)
        site.rights = rights()
        link.open.set()
        (reply,) = told.wait(1)
        assert (reply.response, reply.complete) == (None, False)
        assert reply.reason == "its rights have changed"

    def test_rights_that_change_before_it_is_sent(self) -> None:
        link = ScriptedLink()
        site = self.Site(link, see="everything", do=[{"action": "CoreStatus"}])
        told = Told()
        site.service.submit(asked(), ALICE, told)
        site.rights = rights()
        assert told.wait(1)[0].outcome == "unreachable"
        assert link.asked == []

    def test_a_key_is_of_the_rights_it_was_used_with(self) -> None:
        link = ScriptedLink()
        site = self.Site(link, see="everything", do=[{"action": "CoreStatus"}])
        for _ in range(2):
            assert site.ask(None, idempotency_key="k").outcome == "answered"
        site.rights = rights("everything", [{"action": "CoreStatus"}, {"action": "Ping"}])
        again = asked(idempotency_key="k")
        assert refused(site.service, again) == "idempotency_conflict"
        assert len(link.asked) == 1

    def test_who_has_no_role(self) -> None:
        link = ScriptedLink()
        site = self.Site(link)
        for server in (1, 7, "all"):
            assert refused(site.service, asked(server=server)) == "not_allowed"
        assert link.asked == []
