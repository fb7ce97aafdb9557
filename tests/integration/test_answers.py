"""Answers and who gets them: each to its asker, whole, and an error where none can come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.ami_server import AmiServer, Connection, Packet, answer, answer_success
from tests.support.program import Program, ami_host, configuration
from tests.support.ws_client import Client, is_error

NEWS = b"Event: News\r\nPrivilege: call,all\r\n\r\n"


def lists(connection: Connection, packet: Packet) -> bytes:
    """Answers ``Status`` and ``IAXpeers`` in the form of Asterisk's."""
    ident = packet.get("ActionID")
    own = f"ActionID: {ident}\r\n" if ident else ""
    if packet.action == "Status":
        items = f"Event: Status\r\nPrivilege: Call\r\nChannel: PJSIP/1\r\n{own}\r\n"
        end = f"Event: StatusComplete\r\n{own}EventList: Complete\r\nItems: 1\r\n\r\n"
    elif packet.action == "IAXpeers":
        items = "Event: PeerEntry\r\nChanneltype: IAX2\r\nObjectName: a\r\n\r\n"
        end = f"Event: PeerlistComplete\r\nEventList: Complete\r\n{own}ListItems: 1\r\n\r\n"
    else:
        return answer(packet)
    return answer(packet, "EventList: start") + f"{items}{end}".encode() + NEWS


def events(client: Client) -> list[str]:
    return [m["data"]["Event"] for m in client.messages if m["type"] == 3]


class Setup:
    """One server, two clients on ``amiws.v2`` (the first asks) and a classic one."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        on_action: Callable[[Connection, Packet], bytes | None],
        *,
        host: str = "",
        more: str = "",
    ) -> None:
        self.server = stack.enter_context(AmiServer(on_action=on_action))
        self.host = host
        self.more = more
        self.program = stack.enter_context(Program(folder, self.configuration()))
        self.server.wait_login()
        self.program.wait_for_log("connected")
        self.asking, self.other, self.classic = (
            stack.enter_context(Client(self.program.port, protocol))
            for protocol in ("amiws.v2", "amiws.v2", None)
        )

    def configuration(self, name: str = "pbx") -> str:
        return configuration(ami_host(self.server.port, name, self.host), more=self.more)


@pytest.mark.parametrize("action", ["Status", "IAXpeers"])
def test_the_items_of_a_list_come_to_who_asked_and_to_no_other(action: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        setup = Setup(tmp_path, stack, lists)
        setup.asking.send({"Action": action, "ActionID": "mine"})
        for client in (setup.asking, setup.other, setup.classic):
            client.wait_for_event("News")
        _, item, end, _ = [message["data"] for message in setup.asking.messages]
        assert (item["ActionID"], end["ActionID"]) == ("mine", "mine")
        assert events(setup.other) == events(setup.classic) == ["News"]


def test_no_token_reaches_another_however_the_header_is_written(tmp_path: Path) -> None:
    def odd(connection: Connection, packet: Packet) -> bytes:
        ident = packet.get("ActionID")
        repeated = f"Event: Twice\r\nActionID: {ident}\r\nActionID: {ident}\r\n\r\n"
        other_case = f"Event: Odd\r\nPrivilege: Call\r\nactionid: {ident}\r\n\r\n"
        news = f"Event: UserEvent\r\nPrivilege: user,all\r\nactionid: {ident}\r\n\r\n"
        return answer(packet) + f"{repeated}{other_case}{news}".encode()

    with ExitStack() as stack:
        setup = Setup(tmp_path, stack, odd)
        setup.asking.send('{"Action": "UserEvent", "ActionID": "1", "actionid": "2"}')
        for client in (setup.asking, setup.other, setup.classic):
            assert client.wait_for_event("UserEvent")["actionid"] == "1"
        assert events(setup.asking) == ["Twice", "Odd", "UserEvent"]
        assert events(setup.other) == events(setup.classic) == ["UserEvent"]
        sent = setup.server.received.rpartition(b"Action: UserEvent\r\n")[2]
        assert sent.lower().count(b"actionid:") == 1
        for client in (setup.asking, setup.other, setup.classic):
            assert "amiws-v2/" not in str(client.messages)


def test_action_ids_of_ours_are_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        setup = Setup(tmp_path, stack, answer_success)
        for action_id in ("amiws-v2/x/1", "amiws-gevent-1"):
            told = setup.classic.ask({"Action": "Odd", "ActionID": action_id}, is_error)
            assert told["server_id"] == 0
            assert "only amiws-gevent may use" in told["data"]["Message"]
        told = setup.asking.ask({"Action": "Odd", "ActionID": "amiws-gevent-1"}, is_error)
        assert "only amiws-gevent may use" in told["data"]["Message"]
        setup.asking.ask({"Action": "Last"}, lambda message: message["type"] == 4)
        assert not [packet for packet in setup.server.actions if packet.action == "Odd"]


@pytest.mark.parametrize("with_id", [True, False])
@pytest.mark.parametrize("action", ["Status", "IAXpeers"])
@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("event_names: [News]", ""),
        ("", "plugins:\n- event_filter:\n    allow: News\n"),
        ("", "plugins:\n- event_filter:\n    rules:\n    - {deny: '*', headers: {Event: 'P*'}}\n"),
    ],
    ids=["event_names", "allow", "rules"],
)
def test_what_answers_an_action_is_held_back_by_no_filter(
    host: str, more: str, action: str, with_id: bool, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        setup = Setup(tmp_path, stack, lists, host=host, more=more)
        client = setup.classic
        client.send({"Action": action, **({"ActionID": "1"} if with_id else {})})
        client.wait_for_event("News")
        names = (
            ["Status", "StatusComplete"]
            if action == "Status"
            else ["PeerEntry", "PeerlistComplete"]
        )
        assert events(client) == [*names, "News"]


class TestUnderWay:
    """Actions that are under way when the connection is lost."""

    def silent(self, connection: Connection, packet: Packet) -> bytes | None:
        if packet.action == "List":
            return answer(packet, "EventList: start")
        return answer(packet) if packet.action == "Answered" else None

    def ask(self, setup: Setup) -> None:
        """Five actions; the second is not answered to its end, and the last three not at all."""
        for action in ("Answered", "List"):  # Asterisk answers in the order of the actions
            setup.asking.send({"Action": action, "ActionID": action})
        setup.asking.wait_for(lambda m: m["data"].get("EventList") == "start", "the list's start")
        setup.asking.send({"Action": "Originate", "ActionID": "Originate"})
        setup.other.send({"Action": "Theirs"})
        setup.classic.send({"Action": "Classic", "ActionID": "c"})
        for action in ("Originate", "Theirs", "Classic"):
            setup.server.wait_for(action)

    def errors(self, client: Client) -> list[Any]:
        return [message for message in client.messages if is_error(message)]

    def wait_told(self, setup: Setup) -> str:
        """The text that the client who asked for Originate was told; checks all the others."""

        def is_told(message: dict[str, Any]) -> bool:
            return is_error(message) and message["data"].get("ActionID") == "Originate"

        told = setup.asking.wait_for(is_told, "the answer to Originate")
        assert [told[key] for key in ("type", "server_id", "server_name")] == [4, 1, "pbx"]
        assert [m["data"]["ActionID"] for m in self.errors(setup.asking)] == ["List", "Originate"]
        setup.other.wait_for(is_error, "the answer to Theirs")
        (theirs,) = self.errors(setup.other)
        assert "ActionID" not in theirs["data"]
        assert "Theirs" in theirs["data"]["Message"]
        assert self.errors(setup.classic) == []
        text: str = told["data"]["Message"]
        assert "the outcome of Originate is unknown" in text
        return text

    @pytest.mark.parametrize("more", ["", "plugins:\n- event_filter:\n    deny: '*'\n"])
    def test_a_lost_connection(self, more: str, tmp_path: Path) -> None:
        with ExitStack() as stack:
            setup = Setup(tmp_path, stack, self.silent, more=more)
            self.ask(setup)
            setup.server.kill()
            assert "(reset by the server)" in self.wait_told(setup)

    def test_a_server_that_a_reload_replaces(self, tmp_path: Path) -> None:
        with ExitStack() as stack:
            setup = Setup(tmp_path, stack, self.silent)
            self.ask(setup)
            setup.host = "keepalive: 20"
            setup.program.reload(setup.configuration())
            self.wait_told(setup)

    def test_the_end_of_the_program(self, tmp_path: Path) -> None:
        with ExitStack() as stack:
            setup = Setup(tmp_path, stack, self.silent)
            self.ask(setup)
            setup.program.process.terminate()
            assert setup.asking.wait_closed() == 1001
            assert setup.other.wait_closed() == 1001
            self.wait_told(setup)

    def test_who_came_back_is_not_told_of_what_another_asked(self, tmp_path: Path) -> None:
        with ExitStack() as stack:
            setup = Setup(tmp_path, stack, self.silent)
            self.ask(setup)
            setup.asking.close()
            again = stack.enter_context(Client(setup.program.port, "amiws.v2"))
            setup.server.kill()
            setup.other.wait_for(is_error, "the answer to Theirs")
            again.ask({"Action": "Later", "ActionID": "l"}, is_error)
            assert [m["data"].get("ActionID") for m in self.errors(again)] == ["l"]
