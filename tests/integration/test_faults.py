"""What goes wrong outside: servers vanish, clients stall, garbage. The others notice nothing."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.ami_server import AmiServer, Connection
from tests.support.patience import WAIT
from tests.support.program import NO_PINGS, Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client, client_frame, is_error, raw_client

QUICK = "keepalive: 1\nconnect_timeout: 2"


def event(name: str, more: bytes = b"") -> bytes:
    return b"Event: " + name.encode() + b"\r\nPrivilege: call,all\r\n" + more + b"\r\n"


def both_still_served(server: AmiServer, client: Client, name: str) -> None:
    """The healthy server's events reach the healthy page."""
    server.send(event(name))
    client.wait_for_event(name)


def test_a_killed_server_comes_back_by_itself(tmp_path: Path) -> None:
    with AmiServer() as healthy, AmiServer() as victim:
        hosts = configuration(ami_host(healthy.port, "good"), ami_host(victim.port, "bad"))
        with Program(tmp_path, hosts) as program, Client(program.port) as client:
            healthy.wait_login()
            victim.wait_login()
            program.wait_for_log("connected to", 2)
            victim.kill()
            program.wait_for_log("connection lost")
            client.ask({"Action": "Ping", "AMIServerID": 2}, is_error)
            both_still_served(healthy, client, "WhileDown")
            before = len(client.messages)
            victim.restart()
            victim.wait_login()
            # The banner tells clients that they should ask again.
            wait_until(lambda: [m for m in client.messages[before:] if m["type"] == 1], "a banner")
            banner = next(m for m in client.messages[before:] if m["type"] == 1)
            assert banner["server_id"] == 2
            assert banner["data"] == {"Product": "Asterisk Call Manager", "Version": "11.0.0"}
            victim.send(event("Back"))
            client.wait_for_event("Back")
            program.wait_for_log("bad")


def test_half_a_packet_and_a_close(tmp_path: Path) -> None:
    half = event("Whole") + b"Event: Half\r\nPrivilege: ca"

    def script(connection: Connection) -> None:
        first = connection is victim.connections[0]
        victim.replay, victim.then = (half, "close") if first else (b"", None)
        connection.serve()

    with AmiServer() as healthy, AmiServer(script) as victim:
        hosts = configuration(ami_host(healthy.port, "good"), ami_host(victim.port, "bad"))
        with Program(tmp_path, hosts) as program, Client(program.port) as client:
            second = victim.wait_connections(2)
            victim.wait_for(lambda _: second.logged_in)
            second.send(event("Later"))
            client.wait_for_event("Later")
            both_still_served(healthy, client, "Fine")
            assert "Half" not in json.dumps(client.messages)
            assert "Half" not in program.log


def test_a_server_that_hangs_is_left_and_tried_again(tmp_path: Path) -> None:
    with AmiServer() as healthy, AmiServer(then="hang") as victim:
        hosts = configuration(ami_host(healthy.port, "good"), ami_host(victim.port, "bad", QUICK))
        with Program(tmp_path, hosts) as program, Client(program.port) as client:
            victim.wait_for(lambda server: server.connections and server.connections[0].hung)
            victim.then = None
            victim.wait_connections(2)
            victim.wait_login()
            both_still_served(healthy, client, "Fine")
            program.wait_for_log("Ping")


def test_a_refused_login_is_told_once_and_without_the_secret(tmp_path: Path) -> None:
    with AmiServer() as healthy, AmiServer(login="refuse") as victim:
        hosts = configuration(ami_host(healthy.port, "good"), ami_host(victim.port, "bad"))
        with Program(tmp_path, hosts) as program, Client(program.port) as client:
            healthy.wait_login()
            program.wait_for_log("refused")
            both_still_served(healthy, client, "Fine")
            answer = client.ask({"Action": "Ping", "AMIServerID": 2}, is_error)
            assert "not connected" in answer["data"]["Message"]
            assert program.log.count("refused the login") == 1, program.log
            assert "s3cret" not in program.log


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def test_a_wrong_certificate(
    tmp_path: Path, authority: trustme.CA, server_context: ssl.SSLContext
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    right = tmp_path / "right.pem"
    authority.cert_pem.write_to_path(right)
    with AmiServer(tls=server_context) as good, AmiServer(tls=server_context) as bad:
        hosts = configuration(
            ami_host(good.port, "good", f"ssl: true\nssl_ca: {right}"),
            ami_host(bad.port, "bad", f"ssl: true\nssl_ca: {stranger}"),
        )
        with Program(tmp_path, hosts) as program, Client(program.port) as client:
            good.wait_login()
            program.wait_for_log("ssl_fingerprint")
            both_still_served(good, client, "Fine")
            assert client.wait_for_event("Fine")
            assert not bad.received
            assert all(m["ssl"] is True for m in client.messages)


def test_a_stalled_client_costs_the_others_nothing(tmp_path: Path) -> None:
    """A client that never reads is closed past its bound; the other gets every message."""
    limits = f"limits:\n  client_buffer: 1 MiB\n{NO_PINGS}"
    flood = event("Flood", b"Filler: " + b"x" * 900 + b"\r\n") * 100
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=limits)) as program,
        Client(program.port) as client,
        raw_client(program.port) as stalled,
    ):
        server.wait_login()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = program.resident_bytes()
        for number in range(1, 101):
            server.send(flood)
            wait_until(
                lambda n=number: floods(client) == 100 * n, "all messages at the other client"
            )
        program.wait_for_log("1013 too slow")
        assert program.resident_bytes() - before < 32 << 20


def floods(client: Client) -> int:
    return sum(message["data"].get("Event") == "Flood" for message in client.messages)


def test_a_client_that_vanishes_without_a_fin(tmp_path: Path) -> None:
    more = "limits:\n  ping_interval: 3"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
        Client(program.port) as client,
    ):
        server.wait_login()
        with raw_client(program.port) as silent:  # answers no ping, as if its machine were gone
            received = b""
            while chunk := silent.recv(65536):
                received += chunk
        assert b"\x89" in received  # it was asked
        both_still_served(server, client, "Fine")
        resetting = raw_client(program.port)
        resetting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        resetting.close()
        program.wait_for_log("closed", 2)
        both_still_served(server, client, "StillFine")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\xff" + struct.pack("!Q", 100 << 20) + b"mask", 1009),  # as declared
        (client_frame(b"x" * 200_000, final=False) + client_frame(b"x" * 200_000, 0), 1009),
        (b"\x81\x05hello", 1002),  # not masked
        (client_frame(b"\xff\xfe"), 1007),
        (b"\xf3" + os.urandom(64), 1002),  # reserved bits
        (client_frame(b"data", 2), 1003),
        (client_frame(struct.pack("!H", 1005), 8), 1002),
    ],
    ids=["100 MB", "fragments", "unmasked", "no UTF-8", "reserved bits", "binary", "close code"],
)
def test_garbage_from_a_client_ends_that_client(
    shared: tuple[AmiServer, Program, Client], sent: bytes, code: int
) -> None:
    server, program, client = shared
    with raw_client(program.port) as raw:
        raw.sendall(sent)
        received = b""
        try:
            while chunk := raw.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
    assert struct.pack("!H", code) in received, received
    name = f"After{code}{len(client.messages)}"
    both_still_served(server, client, name)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AmiServer, Program, Client]]:
    folder = tmp_path_factory.mktemp("faults")
    with (
        AmiServer() as server,
        Program(folder, configuration(ami_host(server.port))) as program,
        Client(program.port) as client,
    ):
        server.wait_login()
        program.wait_for_log("connected to")
        yield server, program, client


def test_a_client_that_sends_100_megabytes(shared: tuple[AmiServer, Program, Client]) -> None:
    server, program, client = shared
    before = program.resident_bytes()
    with raw_client(program.port) as raw:
        raw.sendall(b"\x81\xff" + struct.pack("!Q", 100 << 20) + b"mask")
        try:
            for _ in range(100):
                raw.sendall(bytes(1 << 20))
        except OSError:
            pass  # closed on us, as it should
    both_still_served(server, client, "After100MB")
    assert program.resident_bytes() - before < 16 << 20


def test_bytes_that_are_no_http(shared: tuple[AmiServer, Program, Client]) -> None:
    server, program, client = shared
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00" + bytes(500),
        b"\x00" * 100_000,
        b"GET\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", program.port), timeout=WAIT) as raw:
            try:
                raw.sendall(garbage + b"\r\n\r\n")
                while raw.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    both_still_served(server, client, "AfterGarbage")


def test_syslog_that_is_gone(tmp_path: Path) -> None:
    """No /dev/log in sight (as in a container): the program runs, stderr has the lines."""
    with (
        AmiServer() as server,
        Program(
            tmp_path, configuration(ami_host(server.port), more="log_facility: local0")
        ) as program,
        Client(program.port) as client,
    ):
        server.wait_login()
        both_still_served(server, client, "Fine")


def test_latin1_and_cut_utf8_reach_the_client_as_text(tmp_path: Path) -> None:
    bad = (
        b"Event: Odd\r\nCallerIDName: M\xfcller\r\nCut: \xe2\x82\r\nNul: a\x00b\r\nNoColon\r\n\r\n"
    )
    with AmiServer() as one, AmiServer() as two:
        hosts = configuration(
            ami_host(one.port, "utf8"), ami_host(two.port, "latin1", "ami_encoding: latin-1")
        )
        with Program(tmp_path, hosts) as program, Client(program.port) as client:
            one.wait_login()
            two.wait_login()
            program.wait_for_log("connected to", 2)
            one.send(bad)
            data = client.wait_for_event("Odd")
            assert data["CallerIDName"] == "M�ller"
            assert data["Nul"] == "a\x00b"
            assert data["Cut"].startswith("�")
            two.send(bad.replace(b"Odd", b"Latin"))
            assert client.wait_for_event("Latin")["CallerIDName"] == "Müller"
