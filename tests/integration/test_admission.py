"""Storms of connections at the real program: who comes in, and what the others notice."""

from __future__ import annotations

import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.ami_server import AmiServer
from tests.support.certificates import Certificate, make_certificate
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.storm import Storm
from tests.support.ws_client import Client, raw_client

LONG_HANDSHAKES = "limits:\n  tls_handshake_time: 600 s"
# A thousand clients in one process have as little of a busy machine as it has.
PATIENCE_WITH_CLIENTS = f"{LONG_HANDSHAKES}\n  header_time: 600 s"


class Seen(list[dict[str, Any]]):
    """The messages of a client, and when each came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, message: dict[str, Any]) -> None:
        self.times.append(time.monotonic())
        super().append(message)


class Stream:
    """Numbered events, ``RATE`` a second, and what a client had of them."""

    RATE = 50

    def __init__(self, server: AmiServer, page: Client) -> None:
        self._server = server
        self._seen = page.messages = Seen()
        self._end = threading.Event()
        self._sent: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(1 / self.RATE):
            self._sent.append(time.monotonic())
            self._server.send(b"Event: Tick\r\nNumber: %d\r\n\r\n" % (len(self._sent) - 1))

    def __enter__(self) -> Stream:
        self._thread.start()
        wait_until(lambda: self.ticks, "the stream has begun")
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        wait_until(lambda: len(self.ticks) == len(self._sent), "the last of the stream")
        assert self.ticks == list(range(len(self._sent))), "each once, and in order"

    @property
    def ticks(self) -> list[int]:
        """The numbers that the client has seen."""
        return [int(message["data"]["Number"]) for message in self._ticks()]

    def longest_delay(self) -> float:
        """Seconds from the server to the page."""
        came = [
            when
            for when, message in zip(self._seen.times, self._seen, strict=False)
            if is_tick(message)
        ]
        return max(came - sent for came, sent in zip(came, self._sent, strict=False))

    def _ticks(self) -> list[dict[str, Any]]:
        return [message for message in list(self._seen) if is_tick(message)]

    def goes_on(self) -> None:
        """What is sent from now on comes."""
        before = len(self.ticks)
        wait_until(lambda: len(self.ticks) > before + 3, "the stream goes on")


def is_tick(message: dict[str, Any]) -> bool:
    return message["data"].get("Event") == "Tick"


@contextmanager
def streaming(
    folder: Path, more: str = "", *, certificate: Certificate | None = None, **options: Any
) -> Iterator[tuple[Program, Stream]]:
    """A program with a server that streams to a page."""
    page: dict[str, Any] = {}
    if certificate is not None:
        more += f"\nssl_cert: {certificate.cert}\nssl_key: {certificate.key}"
    with ExitStack() as stack:
        server = stack.enter_context(AmiServer())
        hosts = configuration(ami_host(server.port), more=more)
        program = stack.enter_context(Program(folder, hosts, **options))
        if certificate is not None:
            page = {"url": f"wss://localhost:{program.port}/ws", "ssl": certificate.client()}
        seen = stack.enter_context(Client(program.port, **page))
        server.wait_login()
        program.wait_for_log("connected")
        yield program, stack.enter_context(Stream(server, seen))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"), "localhost")


def longest_pause(program: Program) -> float:
    """Seconds for which the program kept its AMI readers waiting at most."""
    with urllib.request.urlopen(f"http://127.0.0.1:{program.port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    return float(re.findall(r"^amiws_reader_pause_longest_seconds (\S+)", text, re.MULTILINE)[0])


def test_a_storm_from_one_address(tmp_path: Path) -> None:
    limits = "limits:\n  connections_per_address: 50"
    with (
        streaming(tmp_path, limits) as (program, stream),
        Storm(program.port, 400, source="127.0.0.2") as storm,
    ):
        answers = storm.wait()
        assert answers["101"] == 50
        assert answers["503"] >= 256, "and the others too, unless the request crosses the answer"
        assert sum(answers.values()) == 400
        stream.goes_on()
        with Client(program.port), raw_client(program.port):
            stream.goes_on()
        assert "connections from 127.0.0.2 refused: it has 50 already" in program.log
        assert program.log.count("refused: it has") == 1


def test_slow_loris(tmp_path: Path) -> None:
    """500 that never finish their request, where there may be 300 such: they go, clients come."""
    limits = "limits:\n  handshakes: 300\n  header_time: 600 s"
    with streaming(tmp_path, limits) as (program, stream):
        before = program.resident_bytes()
        with Storm(program.port, 500, "half") as storm:
            storm.wait()
            for _ in range(3):
                with Client(program.port):
                    stream.goes_on()
            assert "connections closed: more than 300 have sent no complete request" in program.log
            assert program.resident_bytes() - before < 32 << 20
        assert "Traceback" not in program.log


def test_tls_handshakes_that_are_never_finished(tmp_path: Path, certificate: Certificate) -> None:
    with (
        streaming(tmp_path, LONG_HANDSHAKES, certificate=certificate) as (program, stream),
        Storm(program.port, 300, "hello") as storm,
    ):
        assert storm.wait() == {"open": 300}
        url = f"wss://localhost:{program.port}/ws"
        with Client(program.port, url=url, ssl=certificate.client()):
            stream.goes_on()


def test_so_many_descriptors_and_no_more(tmp_path: Path) -> None:
    with streaming(tmp_path, descriptors=64) as (program, stream):
        assert "the process may have 64 descriptors" in program.log
        with ExitStack() as stack:
            crowd = [
                stack.enter_context(socket.create_connection(("127.0.0.1", program.port)))
                for _ in range(80)
            ]
            program.wait_for_log("cannot accept connections now: too few file descriptors are left")
            assert "LimitNOFILE" in program.log
            stream.goes_on()
            assert program.descriptors() < 60, "some are left for what matters more"
            for sock in crowd[:20]:
                sock.close()
            stream.goes_on()
        with Client(program.port):
            stream.goes_on()


def test_servers_come_back_while_clients_have_all_that_they_get(tmp_path: Path) -> None:
    """More servers than there are spare descriptors, and more clients than there is room for."""
    with ExitStack() as stack:
        servers = [stack.enter_context(AmiServer()) for _ in range(24)]
        hosts = [ami_host(server.port, f"pbx{n}") for n, server in enumerate(servers)]
        program = stack.enter_context(Program(tmp_path, configuration(*hosts), descriptors=80))
        for server in servers:
            server.wait_login()
        for server in servers:
            server.kill()
        for _ in range(80):
            stack.enter_context(socket.create_connection(("127.0.0.1", program.port)))
        program.wait_for_log("cannot accept connections now: too few file descriptors are left")
        for server in servers:
            server.restart()
        program.wait_for_log(" as user ", 2 * len(servers))
        assert "Too many open files" not in program.log


def come_back(folder: Path, certificate: Certificate | None) -> tuple[float, float]:
    """A thousand at once, over TLS with a certificate: the stream's longest delay and pause."""
    folder.mkdir()
    ca = certificate.ca if certificate else None
    with streaming(folder, PATIENCE_WITH_CLIENTS, certificate=certificate) as (program, stream):
        with Storm(program.port, 1000, ca=ca) as storm:
            assert storm.wait() == {"101": 1000}
            stream.goes_on()
            found = stream.longest_delay(), 0.0 if certificate else longest_pause(program)
        assert "refused" not in program.log
    return found


@pytest.mark.parametrize("tls", [False, True])
def test_a_thousand_come_back_at_once(tmp_path: Path, certificate: Certificate, tls: bool) -> None:
    """The best of some: what else runs on the machine only adds to a time."""
    found = []
    for attempt in range(5):
        found.append(come_back(tmp_path / str(attempt), certificate if tls else None))
        delay, pause = found[-1]
        if delay < 1 and pause < 0.25:  # 0.07 s unless others want the CPU too
            return
    raise AssertionError(f"seconds of delay, and of the longest pause: {found}")
