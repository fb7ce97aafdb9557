"""Actions that answer, from servers that make it hard: each who asks gets its own, and in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.test_simulator import demo
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration
from tests.support.v2_client import V2Client
from tests.support.ws_client import Client

pytestmark = pytest.mark.slow


OTHER = b"Event: Other\r\nQueue: e\r\n\r\n"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listed(packet: Packet, count: int) -> bytes:
    """A QueueStatus of so many queues, called after the queue that was asked for."""
    own = f"ActionID: {packet.get('ActionID')}\r\n"
    asked = packet.get("Queue") or "q"
    items = [f"Event: QueueParams\r\nQueue: {asked}{n}\r\n{own}\r\n" for n in range(count)]
    end = f"Event: QueueStatusComplete\r\nEventList: Complete\r\nListItems: {count}\r\n{own}\r\n"
    return answer(packet, "EventList: start") + "".join([*items, end]).encode()


class Site:
    """One server and the program, with ways to ask."""

    def __init__(
        self, folder: Path, stack: ExitStack, on_action: Callable[..., bytes | None], more: str = ""
    ) -> None:
        self.ami = stack.enter_context(AmiServer(on_action=on_action))
        text = configuration(ami_host(self.ami.port), more=more)
        self.program = stack.enter_context(Program(folder, text))
        self.ami.wait_login()
        self.program.wait_for_log("connected to")
        self._stack = stack
        self._threads = stack.enter_context(ThreadPoolExecutor(8))

    def v2(self) -> V2Client:
        return self._stack.enter_context(V2Client(self.program.port))

    def post(self, action: dict[str, Any], key: str = "", **more: Any) -> Any:
        url = f"http://127.0.0.1:{self.program.port}/api/v1/actions"
        headers = {"Idempotency-Key": key} if key else {}
        body = {"server": 1, "action": action, **more}
        return requests.post(url, json=body, headers=headers, timeout=WAIT)

    def later(self, action: dict[str, Any], key: str = "", **more: Any) -> Future[Any]:
        return self._threads.submit(self.post, action, key, **more)

    def sent(self, action: str) -> list[Packet]:
        return [packet for packet in self.ami.actions if packet.action == action]


def test_three_ways_to_ask_at_once_with_one_action_id(tmp_path: Path, stack: ExitStack) -> None:
    """The server answers when all have asked, one behind the other, with events in between."""
    asked: list[Packet] = []

    def mixed(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action != "QueueStatus":
            return answer(packet, "Message: done")
        asked.append(packet)
        if len(asked) < 4:
            return None
        answers = b"".join(listed(one, 3) for one in asked)
        return answers.replace(b"Event: QueueParams", OTHER + b"Event: QueueParams")

    site = Site(tmp_path, stack, mixed)
    first, second, watcher = site.v2(), site.v2(), site.v2()
    everything = watcher.subscribe("events")
    classic = stack.enter_context(Client(site.program.port))

    def action(queue: str) -> dict[str, Any]:
        return {"Action": "QueueStatus", "Queue": queue, "ActionID": "same"}

    first.send({"op": "action", "id": 1, "server": 1, "action": action("a")})
    second.send({"op": "action", "id": 1, "server": 1, "action": action("b")})
    http = site.later(action("c"))
    classic.send(action("d"))
    for client, queue in ((first, "a"), (second, "b")):
        client.wait(lambda client=client: client.of("reply"), "the reply")  # type: ignore[misc]
        (reply,) = client.of("reply")
        assert [item["Queue"] for item in reply["items"]] == [f"{queue}{n}" for n in range(3)]
        assert (reply["complete"], reply["action_id"]) == (True, "same")
    (reply,) = http.result().json()["replies"]
    assert [item["Queue"] for item in reply["items"]] == ["c0", "c1", "c2"]
    assert {item["ActionID"] for item in reply["items"]} == {"same"}
    classic.wait_for_event("QueueStatusComplete")
    told = [
        m["data"]["Queue"]
        for m in classic.messages
        if "ActionID" in m["data"] and "Queue" in m["data"]
    ]
    assert told == ["d0", "d1", "d2"]
    site.ami.send(b"Event: Last\r\n\r\n")
    watcher.wait(lambda: "Last" in watcher.events(everything), "the event")
    assert watcher.events(everything) == ["Other"] * 12 + ["Last"]


def test_a_list_that_comes_byte_by_byte_is_one_whole_reply(
    tmp_path: Path, stack: ExitStack
) -> None:
    def drip(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action != "QueueStatus":
            return answer(packet, "Message: done")
        data = listed(packet, 20)
        connection.send_pieces(data, len(data), pause=0.0005)
        return None

    site = Site(tmp_path, stack, drip)
    (reply,) = site.post({"Action": "QueueStatus"}).json()["replies"]
    assert (reply["outcome"], reply["complete"]) == ("answered", True)
    assert [item["Queue"] for item in reply["items"]] == [f"q{n}" for n in range(20)]


def test_a_list_that_stops_in_the_middle_is_told_as_far_as_it_came(
    tmp_path: Path, stack: ExitStack
) -> None:
    def half(connection: Connection, packet: Packet) -> bytes | None:
        data = listed(packet, 5)
        if packet.action != "QueueStatus":
            return answer(packet, "Message: done")
        return b"\r\n\r\n".join([*data.split(b"\r\n\r\n")[:4], b""])

    site = Site(tmp_path, stack, half)
    begun = time.monotonic()
    (reply,) = site.post({"Action": "QueueStatus"}, timeout=2).json()["replies"]
    assert time.monotonic() - begun > 1.9
    assert (reply["outcome"], reply["complete"]) == ("timeout", False)
    assert reply["response"]["Response"] == "Success"
    assert [item["Queue"] for item in reply["items"]] == ["q0", "q1", "q2"]
    assert reply["reason"]
    # nothing of it is left behind for who asks next
    (reply,) = site.post({"Action": "Other"}).json()["replies"]
    assert (reply["outcome"], reply["items"]) == ("answered", [])


@pytest.mark.parametrize("half", [False, True], ids=["nothing came", "half of it came"])
def test_what_is_under_way_when_the_connection_is_lost_is_unknown_at_once(
    tmp_path: Path, stack: ExitStack, half: bool
) -> None:
    def begin(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action != "QueueStatus":
            return answer(packet, "Message: done")
        parts = listed(packet, 5).split(b"\r\n\r\n")[:4]
        return (b"\r\n\r\n".join([*parts, b""]) if half else b"") + OTHER

    site = Site(tmp_path, stack, begin)
    client = site.v2()
    everything = client.subscribe("events")
    asked = {"server": 1, "timeout": 60, "action": {"Action": "QueueStatus"}}
    waits = site.later({"Action": "QueueStatus"}, "one", timeout=60)
    client.send({"op": "action", "id": 1, "idempotency_key": "one", **asked})
    client.wait(lambda: "Other" in client.events(everything), "what came was read")
    client.request("ping")  # with one key there is one question, whoever comes first
    assert len(site.sent("QueueStatus")) == 1
    site.ami.kill()
    (reply,) = waits.result().json()["replies"]
    client.wait(lambda: client.of("reply"), "the reply")
    for one in (reply, client.of("reply")[0]):  # at once, or it would be "timeout"
        assert (one["outcome"], one["complete"]) == ("unknown", False)
        assert (one["response"] is not None) == half
        assert [item["Queue"] for item in one["items"]] == (["q0", "q1", "q2"] if half else [])
        assert "the outcome of QueueStatus is unknown" in one["reason"]
    (reply,) = site.post({"Action": "QueueStatus"}).json()["replies"]
    assert reply["outcome"] == "unreachable"


def test_one_key_twice_at_once_is_sent_once_and_answered_twice(
    tmp_path: Path, stack: ExitStack
) -> None:
    go = threading.Event()

    def slow(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action == "Reload":
            go.wait(WAIT)
        return answer(packet, f"Message: {len(connection.packets)}")

    site = Site(tmp_path, stack, slow)
    client = site.v2()
    action = {"Action": "Reload"}
    asked = [site.later(action, "k") for _ in range(3)]
    for number in (1, 2):
        client.send(
            {"op": "action", "id": number, "server": 1, "action": action, "idempotency_key": "k"}
        )
    site.ami.wait_for("Reload")
    client.request("ping")
    go.set()
    texts = [one.result() for one in asked]
    assert {text.status_code for text in texts} == {200}
    client.wait(lambda: len(client.of("reply")) == 2, "both replies")
    found = [text.json()["replies"] for text in texts]
    assert found == [found[0]] * 3
    for reply in client.of("reply"):
        assert reply["response"] == found[0][0]["response"]
    assert len(site.sent("Reload")) == 1


@pytest.mark.parametrize(
    ("style", "phone", "other"),
    [
        ("11", "SIP/201", "SIP/202"),
        ("13", "SIP/201", "SIP/202"),
        ("22", "PJSIP/201", "PJSIP/202"),
    ],
)
def test_lists_and_calls_of_an_old_and_a_new_asterisk(
    tmp_path: Path, stack: ExitStack, style: str, phone: str, other: str
) -> None:
    """QueueStatus whole in one answer, and an Originate that waits, by HTTP and v2."""
    words = ("--style", style, "--rate", "0", "--user", "amiws", "--secret", "s3cret")
    _, port = stack.enter_context(demo(*words))
    text = configuration(ami_host(port), more="live_state: yes\n")
    program = stack.enter_context(Program(tmp_path, text))
    program.wait_for_log("the live state is synchronised")
    url = f"http://127.0.0.1:{program.port}/api/v1/"
    body: dict[str, Any] = {"server": 1, "action": {"Action": "QueueStatus"}}
    (reply,) = requests.post(url + "actions", json=body, timeout=WAIT).json()["replies"]
    assert (reply["outcome"], reply["complete"]) == ("answered", True)
    assert reply["end"]["Event"] == "QueueStatusComplete"
    told = {item["Queue"] for item in reply["items"] if item["Event"] == "QueueParams"}
    known = requests.get(url + "state/queue", timeout=WAIT).json()["items"]
    assert told == {item["id"] for item in known} != set()
    action = {
        "Action": "Originate",
        "Channel": phone,
        "Application": "Wait",
        "Data": "60",
        "CallerID": "Desk <100>",
    }
    body = {"server": 1, "wait": True, "timeout": 60, "action": action}
    (reply,) = requests.post(url + "actions", json=body, timeout=WAIT).json()["replies"]
    assert (reply["outcome"], reply["complete"]) == ("answered", True)
    assert reply["end"]["Response"] == "Success"
    calls = requests.get(url + "state/call", timeout=WAIT).json()["items"]
    (call,) = [call for call in calls if reply["uniqueid"] in call["legs"]]
    assert call["id"] == reply["call"]
    client = stack.enter_context(V2Client(program.port))
    failing = {**action, "Channel": "PJSIP/nobody"}
    reply = client.request("action", **{**body, "action": failing})
    assert (reply["outcome"], reply["end"]["Response"]) == ("answered", "Failure")
    assert (reply["uniqueid"], reply["call"]) == (None, None)
    reply = client.request("action", **{**body, "action": {**action, "Channel": other}})
    assert (reply["end"]["Response"], reply["end"]["Reason"]) == ("Success", "4")
    assert reply["call"] not in (None, call["id"])
