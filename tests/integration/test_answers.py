"""Answers on the classic socket: what holds them back, and what must not look like ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ami_server import AmiServer, Connection, Packet, answer
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


@contextmanager
def asking(folder: Path, server: AmiServer, host: str = "", more: str = "") -> Iterator[Client]:
    """A client on the classic socket of a program that is connected to ``server``."""
    text = configuration(ami_host(server.port, "pbx", host), more=more)
    with Program(folder, text) as program:
        server.wait_login()
        program.wait_for_log("connected to")
        with Client(program.port) as client:
            yield client


def test_action_ids_of_ours_are_refused(tmp_path: Path) -> None:
    with AmiServer() as server, asking(tmp_path, server) as client:
        told = client.ask({"Action": "Odd", "ActionID": "amiws-gevent-1"}, is_error)
        assert told["server_id"] == 0
        assert "only amiws-gevent may use" in told["data"]["Message"]
        client.ask({"Action": "Last"}, lambda message: message["type"] == 4)
        assert not [packet for packet in server.actions if packet.action == "Odd"]


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
    server = AmiServer(on_action=lists)
    with server, asking(tmp_path, server, host, more) as client:
        client.send({"Action": action, **({"ActionID": "1"} if with_id else {})})
        client.wait_for_event("News")
        names = (
            ["Status", "StatusComplete"]
            if action == "Status"
            else ["PeerEntry", "PeerlistComplete"]
        )
        assert events(client) == [*names, "News"]
