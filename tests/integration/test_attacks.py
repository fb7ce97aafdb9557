"""Servers, plugins and disks that do their worst: the program lives, bounded, and says so.

All of it is on loopback and ends by itself.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.test_plugin_journal import SmallMount
from tests.support import short_answers
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.forkserver import MAIN
from tests.support.patience import WAIT
from tests.support.plugins import write
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.v2_client import QueuePbx, V2Client

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
OnAction = Callable[[Connection, Packet], "bytes | None"]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def done(connection: Connection, packet: Packet) -> bytes | None:
    return answer(packet, "Message: done")


def started(
    stack: ExitStack, folder: Path, *amis: AmiServer, more: str = "", module: str = MAIN
) -> Program:
    hosts = [ami_host(ami.port, f"pbx-{number}") for number, ami in enumerate(amis, 1)]
    made = Program(folder, configuration(*hosts, more=more), module=module)
    program = stack.enter_context(made)
    for ami in amis:
        ami.wait_login()
    program.wait_for_log("connected to", len(amis))
    return program


def ask(program: Program, action: dict[str, str], **more: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{program.port}/api/v1/actions"
    body = {"server": 1, "action": action, **more}
    (reply,) = requests.post(url, json=body, timeout=WAIT).json()["replies"]
    return dict(reply)


# Forged answers


def response_of(action_id: str, reason: int, uniqueid: str) -> bytes:
    return (
        f"Event: OriginateResponse\r\nPrivilege: call,all\r\nActionID: {action_id}\r\n"
        f"Response: Success\r\nChannel: SIP/1-1\r\nReason: {reason}\r\n"
        f"Uniqueid: {uniqueid}\r\n\r\n"
    ).encode()


def test_a_forged_originate_response_answers_nobody(tmp_path: Path, stack: ExitStack) -> None:
    """Of another ActionID, of another server, twice: the right one counts, once."""
    first = stack.enter_context(AmiServer(on_action=done))
    second = stack.enter_context(AmiServer(on_action=done))
    program = started(stack, tmp_path, first, second)
    client = stack.enter_context(V2Client(program.port))
    client.send(
        {
            "op": "action",
            "id": 7,
            "server": 1,
            "wait": True,
            "timeout": 60,
            "action": {
                "Action": "Originate",
                "Channel": "SIP/1",
                "Application": "Wait",
                "ActionID": "mine",
            },
        }
    )
    first.wait_for(b"Action: Originate")
    (packet,) = (packet for packet in first.actions if packet.action == "Originate")
    own = packet.get("ActionID")
    assert own != "mine"
    first.send(response_of("mine", 4, "forged.1") + response_of(own + "0", 4, "forged.2"))
    first.send(response_of("", 4, "forged.3").replace(b"ActionID: \r\n", b""))
    second.send(response_of(own, 4, "forged.4"))
    for server in (1, 2):  # all of it has been read
        client.request("action", server=server, action={"Action": "Other"})
    assert [reply["id"] for reply in client.of("reply")].count(7) == 0
    first.send(response_of(own, 4, "right.1") + response_of(own, 5, "forged.5"))
    client.wait(lambda: any(reply["id"] == 7 for reply in client.of("reply")), "the reply")
    client.request("action", server=1, action={"Action": "Other"})
    (reply,) = (reply for reply in client.of("reply") if reply["id"] == 7)
    assert (reply["uniqueid"], reply["end"]["Reason"]) == ("right.1", "4")


# Lists without end


def test_a_list_of_commands_of_4_mb(tmp_path: Path, stack: ExitStack) -> None:
    """Longer than a packet may be: it is dropped, and the state stale once no answer has come."""

    def huge(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action == "ListCommands":
            return answer(packet, *(f"Action{n}: {'x' * 80}  (Priv: x)" for n in range(45_000)))
        if packet.action == "QueueStatus":
            return answer(packet, "EventList: start") + end_of(packet, "QueueStatusComplete")
        return answer(packet, "Message: done")

    ami = stack.enter_context(AmiServer(on_action=huge))
    short = short_answers.__name__
    program = started(stack, tmp_path, ami, more="live_state: yes\n", module=short)
    url = f"http://127.0.0.1:{program.port}/api/v1/servers"

    def told() -> tuple[str, str]:
        (server,) = requests.get(url, timeout=WAIT).json()["items"]
        return server["sync"], server["sync_reason"]

    program.wait_for_log("packets dropped: larger than limits.ami_packet")
    reason = f"ListCommands: no whole answer within {short_answers.ANSWER_TIME:g} s"
    wait_until(lambda: told() == ("stale", reason), "it is told how it went")
    assert ask(program, {"Action": "Other"})["outcome"] == "answered"
    assert program.resident_bytes() < 400 * MIB


def end_of(packet: Packet, name: str) -> bytes:
    own = f"ActionID: {packet.get('ActionID')}\r\n"
    return f"Event: {name}\r\nEventList: Complete\r\n{own}\r\n".encode()


def item(packet: Packet, size: int = 0) -> bytes:
    own = f"ActionID: {packet.get('ActionID')}\r\n"
    return f"Event: QueueParams\r\nQueue: {'q' * size or 'q'}\r\n{own}\r\n".encode()


def endless(stop: threading.Event, size: int, most: int) -> OnAction:
    """A list that goes on until ``stop``, or ``most`` items; then what was asked meanwhile."""

    def flood(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action != "QueueStatus":
            return answer(packet, "Message: done")
        connection.send(answer(packet, "EventList: start"))
        block = item(packet, size) * max(1, 100_000 // (size + 60))
        sent = 0
        while sent < most and not stop.is_set() and not connection.ended:
            connection.send(block)
            sent += block.count(b"Event: ")
        return end_of(packet, "QueueStatusComplete")

    return flood


@pytest.mark.parametrize(
    ("size", "most"),
    [(0, 1_000_000), (1_000_000, 200)],
    ids=["a million items", "items of a megabyte"],
)
def test_a_list_that_is_too_long_is_cut_and_said_to_be(
    tmp_path: Path, stack: ExitStack, size: int, most: int
) -> None:
    stop = threading.Event()
    stack.callback(stop.set)
    ami = stack.enter_context(AmiServer(on_action=endless(stop, size, most)))
    program = started(stack, tmp_path, ami)
    before = program.resident_bytes()
    reply = ask(program, {"Action": "QueueStatus"}, timeout=60)
    assert reply["complete"] is False
    assert "the answer has more than" in reply["reason"]
    assert 0 < len(reply["items"]) <= 10_000
    assert program.resident_bytes() - before < 150 * MIB
    stop.set()
    reply = ask(program, {"Action": "Other"}, timeout=60)
    assert reply["outcome"] in ("answered", "unreachable", "unknown")


def test_a_list_that_never_ends_ends_in_time(tmp_path: Path, stack: ExitStack) -> None:
    """It drips, so that it never gets too long."""
    stop = threading.Event()
    stack.callback(stop.set)

    def drip(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action != "QueueStatus":
            return answer(packet, "Message: done")
        connection.send(answer(packet, "EventList: start") + item(packet))
        while not stop.wait(0.02) and not connection.ended:
            connection.send(item(packet))
        return None

    ami = stack.enter_context(AmiServer(on_action=drip))
    program = started(stack, tmp_path, ami)
    reply = ask(program, {"Action": "QueueStatus"}, timeout=2)
    assert (reply["outcome"], reply["complete"]) == ("timeout", False)
    assert len(reply["items"]) > 0
    # What still comes of it is seen by nobody.
    client = stack.enter_context(V2Client(program.port))
    name = client.subscribe("events")
    ami.send(b"Event: Hello\r\n\r\n")
    client.wait(lambda: "Hello" in client.events(name), "the event")
    assert set(client.events(name)) == {"Hello"}


def test_a_live_list_that_never_ends_leaves_the_state_stale(
    tmp_path: Path, stack: ExitStack
) -> None:
    stop = threading.Event()
    stack.callback(stop.set)
    flood = endless(stop, 0, 300_000)

    def lists(connection: Connection, packet: Packet) -> bytes | None:
        if packet.action == "ListCommands":
            return answer(packet, "QueueStatus: x")
        return flood(connection, packet)

    ami = stack.enter_context(AmiServer(on_action=lists))
    program = started(stack, tmp_path, ami, more="live_state: yes\n")
    before = program.resident_bytes()
    url = f"http://127.0.0.1:{program.port}/api/v1/servers"

    def told() -> dict[str, Any]:
        (server,) = requests.get(url, timeout=WAIT).json()["items"]
        return dict(server)

    wait_until(lambda: told()["sync"] != "syncing", "an end", 3 * WAIT)
    assert program.resident_bytes() - before < 400 * MIB
    stop.set()


# Plugins

WILD = """
import gevent

class Plugin:
    def amiws_startup(self, context):
        self.context = context
        self.refused = context.counter("refused", "Events that were not taken.")

    def amiws_transform_message(self, message, server):
        what = message.get("Do")
        if what == "flood":
            for number in range(200_000):
                self.publish("Flood", Number=number)
        elif what == "huge":
            self.publish("Huge", Text="x" * 30_000_000)
        elif what == "odd":
            for value in (object(), {1: 2}, [1], b"\\xff", float("nan"), "\\ud800", "a\\r\\nb: c"):
                self.publish("Odd", Value=value)
            self.publish("Na\\r\\nme", Value=1)
            self.publish("Odd", **{"He\\r\\nad: er": 1})
        elif what == "last":
            self.publish("Last")
        return message

    def publish(self, name, **headers):
        try:
            if self.context.publish(name, **headers) is False:
                self.refused.add()
        except (TypeError, ValueError):
            self.refused.add()
"""


def test_a_plugin_that_publishes_without_measure_stops_nothing(
    tmp_path: Path, stack: ExitStack
) -> None:
    pbx = QueuePbx("sales")
    stack.enter_context(pbx.server)
    path = write(tmp_path, WILD)
    more = f"plugins: [{path}]\n"
    program = started(stack, tmp_path, pbx.server, more=f"live_state: yes\n{more}")
    client = stack.enter_context(V2Client(program.port))
    own = client.subscribe("events", server=0)
    theirs = client.subscribe("events", server=1)
    before = program.resident_bytes()
    for what in ("odd", "huge", "flood", "last"):
        pbx.event("UserEvent", Do=what)
    pbx.event("UserEvent", Number="end")
    client.wait(lambda: "end" in client.events(theirs), "the server's events go on")
    assert len(client.events(theirs)) == 5
    assert ask(program, {"Action": "Other"}, timeout=60)["outcome"] == "answered"
    for message in client.of("event", own):
        for name, value in message["message"]["data"].items():
            assert "\n" not in name, name
            assert isinstance(value, str)
    assert program.resident_bytes() - before < 400 * MIB
    requests.get(f"http://127.0.0.1:{program.port}/metrics", timeout=WAIT).raise_for_status()


# The state_file


def figures_site(folder: Path, stack: ExitStack, file: Path) -> tuple[Program, QueuePbx]:
    pbx = QueuePbx("sales")
    stack.enter_context(pbx.server)
    more = f"live_state: yes\nstate_file: {file}\n"
    program = started(stack, folder, pbx.server, more=more)
    program.wait_for_log("the live state is synchronised")
    return program, pbx


def full_disk(folder: Path, stack: ExitStack) -> Path:
    """A folder in which nothing can be written: root may mount a disk and fill it."""
    if os.geteuid() == 0:
        disk = SmallMount(folder)
        stack.callback(disk.close)
        disk.fill()
    else:
        folder.mkdir(mode=0o500)
    return folder


def end_in_order(program: Program) -> None:
    program.process.terminate()
    program.process.wait(WAIT)


def test_a_disk_that_is_full_costs_the_figures_and_nothing_else(
    tmp_path: Path, stack: ExitStack
) -> None:
    folder = full_disk(tmp_path / "disk", stack)
    file = folder / "state.json"
    program, pbx = figures_site(tmp_path, stack, file)
    pbx.join("sales", "1.1")
    client = stack.enter_context(V2Client(program.port))
    name = client.subscribe("state", kind="queue_caller")
    client.wait(lambda: client.collections[name], "the caller")
    end_in_order(program)
    assert program.process.returncode == 0
    program.wait_for_log(f"state_file {file} cannot be written")
    assert not file.exists()
    assert [each for each in folder.iterdir() if each.name.startswith(".state")] == []


def test_a_symlink_for_the_state_file_overwrites_nothing_else(
    tmp_path: Path, stack: ExitStack
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "var"
    victim.write_text("precious")
    folder.mkdir()
    file, new = folder / "state.json", folder / ".state.json.new"
    file.symlink_to(victim)
    new.symlink_to(victim)
    program, pbx = figures_site(tmp_path, stack, file)
    program.wait_for_log("cannot be read")  # it is no file of ours
    pbx.join("sales", "1.1")
    client = stack.enter_context(V2Client(program.port))
    name = client.subscribe("state", kind="queue_caller")
    client.wait(lambda: client.collections[name], "the caller")
    end_in_order(program)
    assert victim.read_text() == "precious"
    assert not file.is_symlink()
    assert json.loads(file.read_text())["servers"]
    assert file.stat().st_mode & 0o077 == 0


def test_a_fifo_for_the_state_file_holds_nothing_up(tmp_path: Path, stack: ExitStack) -> None:
    file = tmp_path / "state.json"
    os.mkfifo(file)
    begun = time.monotonic()
    program, _ = figures_site(tmp_path, stack, file)
    assert time.monotonic() - begun < WAIT
    program.wait_for_log("cannot be read")
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(WAIT) == 0
