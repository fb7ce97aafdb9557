"""The simulated PBX on a real socket: several clients, slow ones, load, start and stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import gevent
import gevent.socket
import pytest

from amiws_gevent.simulator.pbx.server import SimulatedPbx
from amiws_gevent.simulator.pbx.style import StyleName
from tests.support.patience import WAIT
from tests.support.simulator import Replay, headers, name_of


class Client:
    """A blocking AMI client over gevent's sockets."""

    def __init__(self, port: int) -> None:
        self.socket = gevent.socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        self._buffer = b""

    def send(self, *lines: str) -> None:
        self.socket.sendall("\r\n".join((*lines, "", "")).encode())

    def until(self, mark: bytes) -> str:
        """All up to and with ``mark``; the rest stays for the next time."""
        while mark not in self._buffer:
            data = self.socket.recv(65536)
            assert data, f"closed before {mark!r}: {self._buffer[-500:]!r}"
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(mark)
        return (text + mark).decode()

    def packet(self) -> str:
        return self.until(b"\r\n\r\n")

    def answer(self, action_id: str) -> str:
        """The answer with that ActionID; events before it are left out."""
        while True:
            packet = self.packet()
            if packet.startswith("Response:") and f"\r\nActionID: {action_id}\r\n" in packet:
                return packet

    def rest(self) -> bytes:
        """What still comes until the server closes."""
        data = self._buffer
        while more := self.socket.recv(65536):
            data += more
        return data

    def login(self) -> None:
        self.until(b"\r\n")
        self.send("Action: Login", "Username: demo", "Secret: demo", "ActionID: login")
        assert "Authentication accepted" in self.answer("login")


class Bench:
    """Starts PBXs and clients; all are closed at the end of the test."""

    def __init__(self) -> None:
        self._pbxs: list[SimulatedPbx] = []
        self._clients: list[Client] = []

    def start(self, style: StyleName = "22", **options: object) -> SimulatedPbx:
        options = {"rate": 0.0, "login_delay": 0.0, **options}
        pbx = SimulatedPbx(style=style, name=f"pbx-{style}", **options)  # type: ignore[arg-type]
        pbx.start()
        self._pbxs.append(pbx)
        return pbx

    def client(self, pbx: SimulatedPbx, *, login: bool = True) -> Client:
        client = Client(pbx.port)
        self._clients.append(client)
        if login:
            client.login()
        return client

    def close(self) -> None:
        for client in self._clients:
            client.socket.close()
        for pbx in self._pbxs:
            pbx.stop()
            wait_for(lambda pbx=pbx: pbx.clients == 0, "no connection is left")  # type: ignore[misc]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        gevent.sleep(0.005)


@pytest.mark.parametrize("style", ["13", "22"])
@pytest.mark.slow
def test_login_and_goodbye(bench: Bench, style: StyleName) -> None:
    pbx = bench.start(style)
    client = bench.client(pbx)
    client.send("Action: Logoff", "ActionID: bye")
    assert "Goodbye" in client.answer("bye")
    assert client.rest() == b""
    wait_for(lambda: pbx.clients == 0, "the client is forgotten")


def test_a_wrong_secret_is_answered_late_and_the_connection_closed(bench: Bench) -> None:
    pbx = bench.start(login_delay=0.3)
    client = bench.client(pbx, login=False)
    client.until(b"\r\n")
    begun = time.monotonic()
    client.send("Action: Login", "Username: demo", "Secret: wrong")
    client.send("Action: Ping")
    assert client.rest() == b"Response: Error\r\nMessage: Authentication failed\r\n\r\n"
    assert time.monotonic() - begun >= 0.3


def test_each_gets_all_events_and_its_own_answers(bench: Bench) -> None:
    pbx = bench.start()
    first, second = bench.client(pbx), bench.client(pbx)
    stranger = bench.client(pbx, login=False)
    first.send("Action: QueuePause", "Interface: PJSIP/201", "Paused: 1", "ActionID: mine")
    assert "paused" in first.answer("mine")
    for client in (first, second):
        while name_of(packet := client.packet()) != "QueueMemberPause":
            assert "mine" not in packet
    stranger.send("Action: Logoff", "ActionID: bye")
    text = stranger.rest().decode()
    assert text.startswith("Asterisk Call Manager/")
    assert "Event:" not in text, "nobody hears anything before the login"


@pytest.mark.slow
def test_who_is_there_from_the_start_knows_what_the_answers_say(bench: Bench) -> None:
    pbx = bench.start(rate=0.0)
    listener, operator = bench.client(pbx), bench.client(pbx)
    order = ("Context: default", "Exten: 442079460001", "Priority: 1", "Async: true")
    operator.send("Action: Originate", "Channel: PJSIP/216", *order, "ActionID: o")
    replay = Replay()
    while "BridgeEnter" not in replay.counts:
        packet = listener.packet()
        if packet.startswith("Event:"):
            replay.feed([packet])
    listener.send("Action: CoreShowChannels", "ActionID: list")
    while not (packet := listener.packet()).startswith("Response:"):
        replay.feed([packet])
    listed = []
    while name_of(packet := listener.packet()) == "CoreShowChannel":
        listed.append(headers(packet))
    assert headers(packet)["ListItems"] == str(len(listed))
    assert {item["Uniqueid"] for item in listed} == set(replay.channels)
    for item in listed:
        told = replay.channels[item["Uniqueid"]]
        assert (item["BridgeId"], item["ChannelState"]) == (told["BridgeId"], told["ChannelState"])


def test_calls_are_up_when_the_first_client_comes(bench: Bench) -> None:
    pbx = bench.start(rate=0.5)
    client = bench.client(pbx)
    client.send("Action: CoreStatus", "ActionID: s")
    assert 3 <= int(headers(client.answer("s"))["CoreCurrentCalls"]) <= 10
    while name_of(client.packet()) not in ("Newstate", "Newchannel", "Hangup"):
        pass  # within WAIT something moves by itself


def test_the_same_seed_gives_the_same_calls() -> None:
    def run(seed: int) -> list[str]:
        pbx = SimulatedPbx(style="22", name="x", seed=seed, rate=5, clock=lambda: 1_700_000_000.0)
        return [channel.name for channel in pbx.simulation.switch.channels.values()]

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_a_client_that_does_not_read_is_dropped_and_the_others_are_not(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    pbx = bench.start(rate=60, send_limit=1 << 20, write_timeout=20.0)
    slow, healthy = bench.client(pbx), bench.client(pbx)
    reader = gevent.spawn(healthy.answer, "p")
    with caplog.at_level(logging.WARNING, "amiws_gevent.simulator"):
        # Long lists fill the buffers faster than events do; nobody reads them.
        slow.socket.sendall(b"Action: Status\r\n\r\n" * 3000)
        wait_for(lambda: pbx.dropped == 1, "the slow client is dropped")
    assert "does not read" in caplog.text
    healthy.send("Action: Ping", "ActionID: p")
    assert "Pong" in reader.get(timeout=WAIT)
    assert pbx.clients == 1


def test_a_client_that_vanishes_disturbs_nobody(bench: Bench) -> None:
    pbx = bench.start(rate=50)
    stays, leaves = bench.client(pbx), bench.client(pbx)
    leaves.socket.close()
    wait_for(lambda: pbx.clients == 1, "the client is forgotten")
    stays.send("Action: Ping", "ActionID: p")
    assert "Pong" in stays.answer("p")
    assert pbx.dropped == 0


@pytest.mark.slow
def test_load_arrives_whole_and_in_order(bench: Bench) -> None:
    pbx = bench.start(rate=400)
    client = bench.client(pbx)
    joined = pbx.simulation.now + 1
    alive: set[str] = set()
    ended = 0
    for _ in range(20_000):
        event = headers(client.packet())
        uniqueid = event.get("Uniqueid", "")
        if event["Event"] == "Newchannel":
            assert uniqueid not in alive
            alive.add(uniqueid)
        elif event["Event"] == "Hangup":
            ended += uniqueid in alive
            alive.discard(uniqueid)
        elif uniqueid not in alive:
            # Only channels that were there before this client may be new to it.
            assert float(uniqueid or 0) <= joined
    assert ended > 50
    assert pbx.dropped == 0


def test_a_simulation_that_is_late_lets_a_client_read_meanwhile(bench: Bench) -> None:
    """As on a busy machine: many batches are due, and nobody is dropped who reads."""
    offset = [0.0]
    pbx = bench.start(rate=200, send_limit=4 << 20, clock=lambda: time.time() + offset[0])
    client = bench.client(pbx)
    offset[0] += 1.9  # nearly what is let go of
    received = 0
    while received < 2 * (4 << 20):
        data = client.socket.recv(65536)
        assert data, f"dropped after {received} bytes"
        received += len(data)
    assert pbx.dropped == 0


def test_a_clock_set_anew_brings_no_burst(bench: Bench) -> None:
    offset = [0.0]
    pbx = bench.start(rate=0.5, clock=lambda: time.time() + offset[0])
    client = bench.client(pbx)
    begun = pbx.simulation.switch.calls_begun
    for jump in (7200.0, -7200.0):
        offset[0] += jump
        client.send("Action: Ping", "ActionID: p")
        client.answer("p")
        assert pbx.simulation.switch.calls_begun - begun < 20
        now = pbx.simulation.now
        wait_for(lambda now=now: pbx.simulation.now > now, "time goes on")  # type: ignore[misc]


def test_stop_says_so_and_closes(bench: Bench) -> None:
    pbx = bench.start()
    client = bench.client(pbx)
    port = pbx.port
    pbx.stop()
    pbx.stop()
    assert b"Event: Shutdown\r\n" in client.rest()
    assert pbx.port == port
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        Client(port)


def test_a_port_in_use_is_told(bench: Bench) -> None:
    pbx = bench.start()
    other = SimulatedPbx(style="22", name="x", rate=0, port=pbx.port)
    with pytest.raises(OSError, match="in use"):
        other.start()
    other.stop()


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="rate"):
        SimulatedPbx(style="22", name="x", rate=-1)
