"""Answers of an Asterisk 11, whose lists do not say that they are lists, by ``POST actions``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.test_simulator import demo
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.made import FOLDER
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration
from tests.support.slow_relay import SlowRelay

pytestmark = pytest.mark.slow

RECORDED = (FOLDER / "11-a_queue_with_a_local_member.raw").read_bytes()
EVENTS = [part + b"\r\n\r\n" for part in RECORDED.split(b"\r\n\r\n") if part.startswith(b"Event:")]
BANNER = b"Asterisk Call Manager/1.3\r\n"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def ask(program: Program, action: dict[str, str], **more: Any) -> dict[str, Any]:
    """The one reply."""
    url = f"http://127.0.0.1:{program.port}/api/v1/actions"
    body = {"server": 1, "action": action, **more}
    (reply,) = requests.post(url, json=body, timeout=WAIT).json()["replies"]
    return dict(reply)


def started(stack: ExitStack, folder: Path, port: int) -> Program:
    text = configuration(ami_host(port), more="live_state: no\n")
    program = stack.enter_context(Program(folder, text))
    program.wait_for_log("connected to")
    return program


@pytest.mark.parametrize(
    "action", ["QueueStatus", "QueueSummary", "Status", "ParkedCalls", "Agents"]
)
def test_a_whole_list_over_a_slow_line_amid_calls(
    tmp_path: Path, stack: ExitStack, action: str
) -> None:
    words = ("--style", "11", "--rate", "2", "--user", "amiws", "--secret", "s3cret")
    _, port = stack.enter_context(demo(*words))
    relay = stack.enter_context(SlowRelay(port))
    program = started(stack, tmp_path, relay.port)
    reply = ask(program, {"Action": action, "ActionID": "mine"}, timeout=60)
    assert (reply["outcome"], reply["complete"]) == ("answered", True)
    assert "EventList" not in reply["response"]
    assert reply["end"]["Event"] == f"{action}Complete"
    names = {item["Event"] for item in reply["items"]}
    wanted = {
        "QueueStatus": {"QueueParams", "QueueMember"},
        "QueueSummary": {"QueueSummary"},
        "Status": {"Status"},
        "ParkedCalls": set(),
        "Agents": set(),
    }
    assert wanted[action] <= names <= wanted[action] | {"QueueEntry", "ParkedCall", "Agents"}
    assert {item["ActionID"] for item in reply["items"]} <= {"mine"}


def queue_status(packet: Packet) -> list[bytes]:
    """The packets of app_queue.c of branch 11, ``manager_queues_status``."""
    own = f"ActionID: {packet.get('ActionID')}\r\n\r\n"
    bodies = [
        "Event: QueueParams\r\nQueue: support\r\nMax: 0\r\nStrategy: ringall\r\nCalls: 1\r\n",
        "Event: QueueMember\r\nQueue: support\r\nName: Anna\r\nLocation: Local/201@agents\r\n",
        "Event: QueueEntry\r\nQueue: support\r\nPosition: 1\r\nUniqueid: 1.0\r\n",
        "Event: QueueStatusComplete\r\n",
    ]
    head = answer(packet, "Message: Queue status will follow")
    return [head, *((body + own).encode() for body in bodies)]


def test_a_list_amid_the_events_of_a_recording(tmp_path: Path, stack: ExitStack) -> None:
    """Join and Leave, Dial and Bridge between any two packets of it."""

    def mixed(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action != "QueueStatus":
            return answer(packet)
        parts = queue_status(packet)
        share = len(EVENTS) // len(parts) + 1
        runs = [EVENTS[n * share : (n + 1) * share] for n in range(len(parts))]
        return b"".join(part + b"".join(run) for part, run in zip(parts, runs, strict=True))

    ami = stack.enter_context(AmiServer(on_action=mixed, banner=BANNER))
    program = started(stack, tmp_path, ami.port)
    reply = ask(program, {"Action": "QueueStatus"}, timeout=60)
    assert reply["complete"]
    names = [item["Event"] for item in reply["items"]]
    assert names == ["QueueParams", "QueueMember", "QueueEntry"]


@pytest.mark.parametrize("parts", [0, 1, 3])
def test_a_server_that_never_ends_gives_what_came_in_time(
    tmp_path: Path, stack: ExitStack, parts: int
) -> None:
    def half(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action != "QueueStatus":
            return answer(packet)
        return b"".join(queue_status(packet)[:parts]) or None

    ami = stack.enter_context(AmiServer(on_action=half, banner=BANNER))
    program = started(stack, tmp_path, ami.port)
    begun = time.monotonic()
    reply = ask(program, {"Action": "QueueStatus"}, timeout=1)
    assert time.monotonic() - begun < WAIT
    assert (reply["outcome"], reply["complete"]) == ("timeout", False)
    assert (reply["response"] is None) is (parts == 0)
    assert len(reply["items"]) == max(0, parts - 1)
    assert "no whole answer within 1 s" in reply["reason"]
