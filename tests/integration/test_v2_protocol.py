"""amiws.v2 against the real program: requests, errors, actions, the heartbeat.

Each message that comes is held to the specification by the client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import Program, ami_host, configuration
from tests.support.v2_client import QueuePbx, V2Client
from tests.support.ws_client import Client, client_frame, raw_client, server_frames

pytestmark = pytest.mark.slow

MORE = "live_state: yes\n"


class Setup:
    """A server with two queues, the program, and clients as they are asked for."""

    def __init__(self, folder: Path, stack: ExitStack, more: str = "") -> None:
        self.pbx = QueuePbx("sales", "support")
        stack.enter_context(self.pbx.server)
        text = configuration(ami_host(self.pbx.server.port), more=MORE + more)
        self.program = stack.enter_context(Program(folder, text))
        self._stack = stack

    def client(self) -> V2Client:
        return self._stack.enter_context(V2Client(self.program.port))

    def live(self) -> V2Client:
        """A client, once the server is synchronised."""
        client = self.client()
        name = client.subscribe("state", server=0, kind="server")

        def is_live() -> object:
            return client.collections[name][0, "server", "1"]["sync"] == "live"

        client.wait(is_live, "the server is live")
        client.request("unsubscribe", subscription=name)
        return client


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with ExitStack() as stack:
        yield Setup(tmp_path, stack)


def test_hello_comes_first_and_by_itself(setup: Setup) -> None:
    hello = setup.client().hello
    assert (hello["protocol"], hello["user"]) == (2, None)
    assert hello["heartbeat"] == 25000
    (server,) = hello["servers"]
    assert (server["server"], server["kind"], server["id"]) == (0, "server", "1")
    assert server["name"] == "pbx"


def test_hello_says_how_the_servers_are(setup: Setup) -> None:
    setup.live()
    assert setup.client().hello["servers"][0]["sync"] == "live"


def test_a_classic_client_is_told_nothing_of_this(setup: Setup) -> None:
    v2 = setup.live()
    with Client(setup.program.port) as classic:
        v2.request("action", server=1, action={"Action": "QueueStatus"})
        setup.pbx.news()
        classic.wait_for_event("UserEvent")
        assert [message["data"].get("Event") for message in classic.messages] == ["UserEvent"]


HOSTILE: list[str | dict[str, Any]] = [
    "nonsense",
    "[]",
    "[" * 100_000,
    '{"op": "ping", "op": "ping", "id": 1}',
    '{"op": "ping", "id": "\\ud800"}',
    '{"id": %s}' % ("9" * 5000),
    {"op": "drop tables", "id": 1},
    {"op": "ping", "id": "x" * 65},
    {"op": "subscribe", "id": 1, "streams": ["state"], "filters": {"kind": "\0"}},
    {"op": "subscribe", "id": 1, "streams": ["state"], "filters": {"queue": ["x"] * 5000}},
    {"op": "resume", "id": 1, "streams": ["state"], "position": "x" * 100_000},
    {"op": "unsubscribe", "id": 1, "subscription": "x" * 100_000},
    {"op": "action", "id": 1, "server": 1, "action": {"Action": "Ping\r\nAction: Logoff"}},
    {"op": "action", "id": 1, "server": 1, "action": {"Action": "Logoff"}},
    {"op": "action", "id": 1, "server": 99, "action": {"Action": "Ping"}},
    {"op": "action", "id": 1, "server": [], "action": {"Action": "Ping"}},
    {"op": "action", "id": 1, "server": 1, "action": {"A" * 2000: "B", "Action": "Ping"}},
]


def test_each_hostile_message_gets_one_error_and_hurts_nobody(setup: Setup) -> None:
    client, other = setup.live(), setup.live()
    name = other.subscribe("state", kind="queue")
    for message in HOSTILE:
        text = message if isinstance(message, str) else json.dumps(message)
        before = len(client.messages)
        client.send(text)
        # its pong shows that the answer to the one before is there
        client.request("ping")
        answers = [one for one in client.messages[before:] if one["op"] != "position"]
        assert [one["op"] for one in answers] == ["error", "pong"], text[:200]
    client.take()
    setup.pbx.join("sales", "1.1")
    other.wait(lambda: other.collections[name][1, "queue", "sales"]["waiting"] == 1, "the caller")
    assert b"Logoff" not in setup.pbx.server.received


def test_a_binary_message_and_one_that_is_not_utf_8_end_the_connection(setup: Setup) -> None:
    for frame, code in (
        (client_frame(b"{}", 2), 1003),
        (client_frame(b'{"op":"\xff"}'), 1007),
    ):
        raw = raw_client(setup.program.port, headers="Sec-WebSocket-Protocol: amiws.v2\r\n")
        with raw:
            raw.sendall(frame)
            closes = [payload for opcode, payload in server_frames(raw) if opcode == 8]
            assert int.from_bytes(closes[0][:2], "big") == code


def test_two_clients_that_ask_at_once_with_one_action_id_get_their_own_answers(
    setup: Setup,
) -> None:
    first, second = setup.live(), setup.live()
    for client, queue in ((first, "sales"), (second, "support")):
        client.send(
            {
                "op": "action",
                "id": "mine",
                "server": 1,
                "action": {"Action": "QueueStatus", "Queue": queue, "ActionID": "same"},
            }
        )
    for client, queue in ((first, "sales"), (second, "support")):
        client.wait(lambda client=client: client.of("reply"), "the reply")  # type: ignore[misc]
        (reply,) = client.of("reply")
        assert (reply["id"], reply["replies"], reply["outcome"]) == ("mine", 1, "answered")
        assert [item["Queue"] for item in reply["items"]] == [queue]
        assert reply["complete"] is True
        assert (reply["action_id"], reply["end"]["ActionID"]) == ("same", "same")


def test_actions_past_the_bound_are_refused_and_the_others_end(setup: Setup) -> None:
    client = setup.live()
    for number in range(33):
        client.send(
            {
                "op": "action",
                "id": f"a{number}",
                "server": 1,
                "timeout": 0.5,
                "action": {"Action": "Silent"},
            }
        )
    client.wait(lambda: len(client.of("reply")) == 32, "all replies")
    assert {reply["outcome"] for reply in client.of("reply")} == {"timeout"}
    (error,) = client.of("error")
    assert (error["id"], error["code"]) == ("a32", "too_many_actions")
    assert error["retry_after"] > 0
    reply = client.request("action", server="all", action={"Action": "Again"})
    assert (reply["outcome"], reply["response"]["Message"]) == ("answered", "Again done")


def test_an_action_whose_connection_is_lost_is_of_unknown_outcome(setup: Setup) -> None:
    client = setup.live()
    client.send({"op": "action", "id": 5, "server": 1, "action": {"Action": "Silent"}})
    setup.pbx.server.wait_for("Silent")
    setup.pbx.server.kill()
    client.wait(lambda: client.of("reply"), "the reply")
    (reply,) = client.of("reply")
    assert (reply["id"], reply["outcome"], reply["complete"]) == (5, "unknown", False)


def test_sixteen_subscriptions_and_no_more(setup: Setup) -> None:
    client = setup.live()
    names = [
        client.request("subscribe", streams=["events"], filters={"event": f"E{number}"})
        for number in range(17)
    ]
    assert [answer["op"] for answer in names] == ["subscribed"] * 16 + ["error"]
    assert names[16]["code"] == "too_many_subscriptions"
    assert len({answer["subscription"] for answer in names[:16]}) == 16
    client.request("unsubscribe", subscription=names[0]["subscription"])
    assert client.request("subscribe", streams=["events"])["op"] == "subscribed"
    client.take()


def test_the_heartbeat_has_the_positions_of_all_subscriptions(tmp_path: Path) -> None:
    with ExitStack() as stack:
        setup = Setup(tmp_path, stack, "limits:\n  ping_interval: 1 s\n")
        client = setup.live()
        name = client.subscribe("state", "events", queue="sales")
        before = len(client.of("position"))
        client.wait(lambda: len(client.of("position")) > before + 2, "the heartbeat")
        beats = client.of("position")[before:]
        times = [beat["time"] for beat in beats]
        assert times == sorted(times)
        assert {tuple(beat["positions"]) for beat in beats[1:]} == {(name,)}
        setup.pbx.join("sales", "1.1")
        client.wait(lambda: len(client.collections[name]) == 2, "the caller")
        old = beats[-1]["positions"][name]
        client.wait(
            lambda: client.of("position")[-1]["positions"].get(name, old) != old, "it moves on"
        )


def test_a_plugin_sees_clients_of_amiws_v2_and_may_refuse_their_actions(tmp_path: Path) -> None:
    (tmp_path / "guard.py").write_text(
        "def amiws_authorize_action(action, client):\n"
        "    if client.view == 'v2' and action.name == 'Originate':\n"
        "        return 'no calls'\n"
    )
    with ExitStack() as stack:
        setup = Setup(tmp_path, stack, f"plugins:\n- {tmp_path}/guard.py\n")
        client = setup.live()
        error = client.request("action", server=1, action={"Action": "Originate"})
        assert (error["code"], error["message"]) == ("not_allowed", "no calls")
        assert client.request("action", server=1, action={"Action": "Other"})["op"] == "reply"
