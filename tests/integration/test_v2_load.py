"""Many clients, slow ones, and ones that were away under load: what each has at the end."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_v2_protocol import MORE, Setup
from tests.support.ami_server import AmiServer
from tests.support.listing import Lists, channel, event
from tests.support.patience import WAIT
from tests.support.program import NO_PINGS, Program, ami_host, configuration, wait_until
from tests.support.v2_client import V2Client, key_of
from tests.support.ws_client import client_frame, raw_client, server_frames

pytestmark = pytest.mark.slow


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_hundred_at_once_on_two_servers_ask_no_more_than_one(
    tmp_path: Path, stack: ExitStack
) -> None:
    lists = Lists()
    lists.items = {"CoreShowChannels": [channel(1), channel(2)]}
    servers = [stack.enter_context(AmiServer(on_action=lists)) for _ in range(2)]
    hosts = [ami_host(server.port, f"pbx{n}") for n, server in enumerate(servers, 1)]
    program = stack.enter_context(Program(tmp_path, configuration(*hosts, more=MORE)))
    program.wait_for_log("the live state is synchronised", 2)
    one = stack.enter_context(V2Client(program.port))
    one.subscribe("state", "events")
    before = [len(server.actions) for server in servers]

    def come(number: int) -> V2Client:
        client = V2Client(program.port)
        client.subscribe("state", "events", kind=["channel", "server", f"k{number % 3}"][:2])
        return client

    with ThreadPoolExecutor(100) as threads:
        clients = list(threads.map(come, range(100)))
    for client in clients:
        stack.enter_context(client)
    for server in servers:
        server.send(event("Newchannel", **channel(3)))
    for client in clients:
        (held,) = client.held
        client.wait(
            lambda client=client, held=held: (
                {  # type: ignore[misc]
                    key for key in client.collections[held] if key[1] == "channel"
                }
                == {(n, "channel", f"{m}.1") for n in (1, 2) for m in (1, 2, 3)}
            ),
            "all channels of both",
        )
    assert [len(server.actions) for server in servers] == before


class Reader:
    """Reads the frames of a raw client as JSON, from when it is asked to."""

    def __init__(self, raw: socket.socket) -> None:
        raw.settimeout(WAIT)
        self._frames = server_frames(raw)
        self.messages: list[dict[str, Any]] = []
        self.collection: dict[Any, dict[str, Any]] = {}

    def until(self, last: Callable[[dict[str, Any]], object]) -> None:
        for opcode, payload in self._frames:
            if opcode != 1:
                continue
            message = json.loads(payload)
            self.messages.append(message)
            if message["op"] == "snapshot" and message["page"] == 1:
                self.collection.clear()
            for item in message.get("items", message.get("set", ())):
                key = key_of(item)
                self.collection[key] = {**self.collection.get(key, {}), **item}
            for item in message.get("unset", ()):
                self.collection.pop(key_of(item), None)
            if last(message):
                return
        raise AssertionError("the connection has ended")

    def of(self, op: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["op"] == op]


class Load:
    """Events and changes without a pause, from a thread of its own."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rounds = 0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pbx = self.setup.pbx
        while not self._stop.is_set():
            self.rounds += 1
            pbx.join("sales", f"{self.rounds}.1")
            pbx.news(3)
            if self.rounds > 10:
                pbx.leave("sales", f"{self.rounds - 10}.1")
            time.sleep(0.001)


KINDS = ["queue", "queue_caller"]


def test_who_was_cut_off_under_load_has_what_who_stayed_has(
    tmp_path: Path, stack: ExitStack
) -> None:
    setup = Setup(tmp_path, stack)
    stays, cut = setup.live(), setup.live()
    name = stays.subscribe("state", "events", kind=KINDS)
    cut.subscribe("state", "events", kind=KINDS)
    with Load(setup) as load:
        wait_until(lambda: load.rounds > 100, "the load")
        cut.wait(lambda: len(cut.events(name)) > 100, "some events")
        cut.socket.socket.shutdown(2)
        cut.close()
        wait_until(lambda: load.rounds > 1000, "much is missed")
        again = setup.client()
        again.collections = cut.collections
        answer = again.resume(cut.positions[name], "state", "events", kind=KINDS)
        assert answer["resumed"] is True
        wait_until(lambda: load.rounds > 1200, "and it goes on")
    setup.pbx.event("UserEvent", Number="last")
    setup.pbx.join("support", "last")
    for one in (stays, again):
        one.wait(
            lambda one=one: (
                one.events(name)[-1:] == ["QueueCallerJoin"]
                and (1, "queue_caller", "last") in one.collections[name]
            ),
            "the last",
        )  # type: ignore[misc]

    def both_have_the_same() -> object:
        stays.take()
        return again.collections[name] == stays.collections[name]

    again.wait(both_have_the_same, "the same state")
    assert again.of("gap") == again.of("snapshot") == []
    seen = cut.events(name)
    assert seen + again.events(name) == stays.events(name)


def test_past_the_history_the_gap_is_told_and_the_state_is_right(
    tmp_path: Path, stack: ExitStack
) -> None:
    setup = Setup(tmp_path, stack, "limits:\n  history_messages: 100\n")
    stays, cut = setup.live(), setup.live()
    name = stays.subscribe("state", "events", kind=KINDS)
    cut.subscribe("state", "events", kind=KINDS)
    setup.pbx.news()
    cut.wait(lambda: len(cut.events(name)) == 1, "the first")
    cut.close()
    for number in range(300):
        setup.pbx.join("sales", f"{number}.1")
    setup.pbx.news()
    stays.wait(lambda: len(stays.events(name)) == 302, "all")
    again = setup.client()
    again.collections = cut.collections
    answer = again.resume(cut.positions[name], "state", "events", kind=KINDS)
    assert answer["resumed"] is False
    setup.pbx.news()  # of one read all is forgotten if it has more than what is kept
    for one in (stays, again):
        one.wait(lambda one=one: one.events(name)[-1:] == ["3"], "the newest")  # type: ignore[misc]

    def both_have_the_same() -> object:
        stays.take()
        return again.collections[name] == stays.collections[name]

    again.wait(both_have_the_same, "the state")
    gaps = again.of("gap")
    assert [(gap["stream"], gap["reason"]) for gap in gaps] == [("events", "history")]
    told = again.events(name)
    assert told == stays.events(name)[-len(told) :]
    assert again.messages.index(gaps[0]) < again.messages.index(again.of("event")[0])


def one_round(number: int) -> list[bytes]:
    """A caller comes, one that came before leaves, and something is said."""
    joins = event("QueueCallerJoin", Queue="sales", Uniqueid=f"{number}.1", Position="9")
    leaves = event("QueueCallerLeave", Queue="sales", Uniqueid=f"{number - 5}.1", Position="1")
    news = [event("UserEvent", Text="x" * 200, Number=f"{number}.{n}") for n in range(10)]
    return [joins, *news, *([leaves] if number >= 5 else [])]


def test_one_who_reads_nothing_for_a_while_is_kept_and_gets_the_newest(
    tmp_path: Path, stack: ExitStack
) -> None:
    """Far more changes than fit into all buffers; then it reads on."""
    setup = Setup(tmp_path, stack, f"limits:\n  client_buffer: 64 KiB\n{NO_PINGS}")
    stays = setup.live()
    name = stays.subscribe("state", kind=KINDS)
    raw = raw_client(
        setup.program.port, headers="Sec-WebSocket-Protocol: amiws.v2\r\n", receive_buffer=4096
    )
    stack.callback(raw.close)
    body = {"op": "subscribe", "id": 1, "streams": ["state", "events"], "filters": {"kind": KINDS}}
    raw.sendall(client_frame(json.dumps(body).encode()))
    before = setup.program.resident_bytes()
    rounds = [one_round(number) for number in range(3000)]
    for start in range(0, 3000, 100):
        setup.pbx.server.send(b"".join(b"".join(events) for events in rounds[start : start + 100]))
    stays.wait(lambda: (1, "queue_caller", "2999.1") in stays.collections[name], "the newest")
    assert setup.program.resident_bytes() - before < 64 << 20
    late = Reader(raw)
    setup.pbx.event("UserEvent", Number="last")
    late.until(lambda m: m["op"] == "event" and m["message"]["data"].get("Number") == "last")
    setup.pbx.join("support", "last")
    late.until(lambda m: (1, "queue_caller", "last") in late.collection)
    stays.wait(lambda: (1, "queue_caller", "last") in stays.collections[name], "the last")
    stays.wait(lambda: late.collection == stays.collections[name], "the same")
    lost = [gap["lost"] for gap in late.of("gap") if gap["stream"] == "events"]
    assert sum(lost) > 0
    assert sum(lost) + len(late.of("event")) == sum(map(len, rounds)) + 2


def test_who_reads_slowly_stays_and_who_reads_nothing_is_closed(
    tmp_path: Path, stack: ExitStack
) -> None:
    setup = Setup(tmp_path, stack, "limits:\n  client_buffer: 64 KiB\n  ping_interval: 4 s\n")
    stays = setup.live()
    name = stays.subscribe("state", kind=KINDS)
    body = {"op": "subscribe", "id": 1, "streams": ["state", "events"], "filters": {"kind": KINDS}}
    raws = []
    for _ in range(2):
        raw = raw_client(
            setup.program.port, headers="Sec-WebSocket-Protocol: amiws.v2\r\n", receive_buffer=4096
        )
        stack.callback(raw.close)
        raw.sendall(client_frame(json.dumps(body).encode()))
        raws.append(raw)
    slow, idle = (f"client 127.0.0.1:{raw.getsockname()[1]} closed" for raw in raws)
    number = 0
    pong = client_frame(b"", opcode=0xA)

    def read(size: int) -> bytes:
        """As a client does: while the kernel holds all that waits, only pongs show its life."""
        raws[0].sendall(pong)
        data = raws[0].recv(size)
        assert data, setup.program.log
        return data

    filler = event("UserEvent", Filler="x" * 60_000)  # so that the kernel soon takes no more
    while idle not in setup.program.log:
        setup.pbx.server.send(filler)
        for _ in range(20):
            setup.pbx.server.send(b"".join(one_round(number)))
            number += 1
        read(2000)
        time.sleep(0.02)
    setup.pbx.join("support", "last")
    data = b""
    while b'"id":"last"' not in data:  # of the state: an event may be one of those it has lost
        data = data[-100:] + read(1 << 16)
    stays.wait(lambda: (1, "queue_caller", "last") in stays.collections[name], "the last")
    assert slow not in setup.program.log
