"""Storms of connections at the real program: who comes in, and what the others notice."""

from __future__ import annotations

import socket
import threading
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


class Stream:
    """Numbered events, ``RATE`` a second, and what a client had of them."""

    RATE = 50

    def __init__(self, server: AmiServer, page: Client) -> None:
        self._server = server
        self._seen = page
        self._end = threading.Event()
        self._sent = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(1 / self.RATE):
            self._server.send(b"Event: Tick\r\nNumber: %d\r\n\r\n" % self._sent)
            self._sent += 1

    def __enter__(self) -> Stream:
        self._thread.start()
        wait_until(lambda: self.ticks, "the stream has begun")
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        wait_until(lambda: len(self.ticks) == self._sent, "the last of the stream")
        assert self.ticks == list(range(self._sent)), "each once, and in order"

    @property
    def ticks(self) -> list[int]:
        """The numbers that the client has seen."""
        return [
            int(message["data"]["Number"])
            for message in list(self._seen.messages)
            if message["data"].get("Event") == "Tick"
        ]

    def goes_on(self) -> None:
        """What is sent from now on comes."""
        before = len(self.ticks)
        wait_until(lambda: len(self.ticks) > before + 3, "the stream goes on")


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
        program.wait_for_log("connected to")
        yield program, stack.enter_context(Stream(server, seen))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"), "localhost")


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
        program.wait_for_log("connections from 127.0.0.2 refused: it has 50 already")
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
            program.wait_for_log("connections closed: more than 300 have sent no complete request")
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
        program.wait_for_log("the process may have 64 descriptors")
        with ExitStack() as stack:
            crowd = [
                stack.enter_context(socket.create_connection(("127.0.0.1", program.port)))
                for _ in range(80)
            ]
            program.wait_for_log("cannot accept connections now: too few file descriptors are left")
            program.wait_for_log("LimitNOFILE")
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


@pytest.mark.parametrize("tls", [False, True])
def test_a_thousand_come_back_at_once(tmp_path: Path, certificate: Certificate, tls: bool) -> None:
    """All come in, and the stream goes on meanwhile; how late, ``make bench`` says (storm)."""
    mine, ca = (certificate, certificate.ca) if tls else (None, None)
    with streaming(tmp_path, PATIENCE_WITH_CLIENTS, certificate=mine) as (program, stream):
        before = len(stream.ticks)
        with Storm(program.port, 1000, ca=ca) as storm:
            assert storm.wait() == {"101": 1000}
            assert len(stream.ticks) > before
            stream.goes_on()
        assert "refused" not in program.log
