"""Start, reload and stop of the real program."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.support.ami_server import AmiServer
from tests.support.forkserver import run_program
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client, is_error


def test_sigterm_closes_clients_with_1001_and_logs_off(tmp_path: Path) -> None:
    with AmiServer() as server:
        with Program(tmp_path, configuration(ami_host(server.port))) as program:
            server.wait_login()
            client = Client(program.port)
            program.wait_for_log("client")
            program.process.send_signal(signal.SIGTERM)
            assert client.wait_closed() == 1001
            assert program.process.wait(WAIT) == 0
        server.wait_for("Logoff")


def test_sigterm_with_a_client_that_does_not_read(tmp_path: Path) -> None:
    from tests.support.ws_client import raw_client

    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
        raw_client(program.port),
    ):
        server.wait_login()
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(WAIT) == 0


def test_sigint_ends_it_the_same_way(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
    ):
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(WAIT) == 0


def test_a_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "amiws.yaml"
        file.write_text(configuration(ami_host(5038)).replace("ws_port: 0", f"ws_port: {port}"))
        done = run_program("-f", file)
    assert done.returncode == 71
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_it_listens_is_an_address_to_open(tmp_path: Path) -> None:
    text = configuration(ami_host(1)).replace("ws_host: 127.0.0.1", 'ws_host: "::1"')
    with Program(tmp_path, text) as program:
        program.wait_for_log(f"listening on http://[::1]:{program.port}/, AMI servers: 1")


def test_reload_touches_only_what_changed(tmp_path: Path) -> None:
    with AmiServer() as stays, AmiServer() as goes, AmiServer() as comes:
        one = ami_host(stays.port, "stays")
        before = configuration(one, ami_host(goes.port, "goes"))
        after = configuration(one, ami_host(comes.port, "comes"))
        with Program(tmp_path, before) as program, Client(program.port) as client:
            stays.wait_login()
            goes.wait_login()
            program.wait_for_log("connected to", 2)
            program.reload(after)
            comes.wait_login()
            goes.wait_for("Logoff")
            assert len(stays.connections) == 1
            stays.send(b"Event: SamePage\r\n\r\n")
            client.wait_for_event("SamePage")
            comes.send(b"Event: NewServer\r\n\r\n")
            assert client.wait_for_event("NewServer")
            answer = client.ask({"Action": "Ping", "AMIServerID": 3}, is_error)
            assert "no such server" in answer["data"]["Message"]


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "amihosts: [",
        "ws_port: 8a998\namihosts: []",
        "ssl_cert: /nowhere\nssl_key: /nowhere\n" + configuration(ami_host(5038)),
    ],
)
def test_a_bad_file_is_refused_and_the_old_one_stays(tmp_path: Path, broken: str) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
        Client(program.port) as client,
    ):
        server.wait_login()
        program.reload(broken)
        program.wait_for_log("not applied")
        server.send(b"Event: Still\r\n\r\n")
        client.wait_for_event("Still")
        assert len(server.connections) == 1


def test_reload_moves_the_port_and_keeps_clients(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
        Client(program.port) as client,
    ):
        server.wait_login()
        old = program.port
        new = free_port()
        program.reload(
            configuration(ami_host(server.port)).replace("ws_port: 0", f"ws_port: {new}")
        )
        program.wait_for_log("configuration applied")
        with Client(new) as second:
            server.send(b"Event: Both\r\n\r\n")
            client.wait_for_event("Both")
            second.wait_for_event("Both")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", old))


def test_reload_to_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        socket.create_server(("127.0.0.1", 0)) as taken,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
    ):
        server.wait_login()
        port = taken.getsockname()[1]
        text = configuration(ami_host(server.port)).replace("ws_port: 0", f"ws_port: {port}")
        program.reload(text)
        program.wait_for_log("not applied")
        with Client(program.port):
            pass


def test_reload_changes_the_log_level(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more="log_level: info")) as program,
    ):
        server.wait_login()
        program.reload(configuration(ami_host(server.port), more="log_level: debug"))
        program.wait_for_log("configuration applied")
        with Client(program.port) as client:
            client.ask({"Action": "CoreStatus"}, lambda m: m["type"] == 4)
            program.wait_for_log("action CoreStatus of")


def test_many_reloads_leak_nothing(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        AmiServer() as other,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
    ):
        server.wait_login()
        one = configuration(ami_host(server.port), ami_host(other.port, "other"))
        two = configuration(ami_host(server.port))
        for number in range(1, 6):
            program.reload(one)
            program.wait_for_log("configuration applied", 2 * number - 1)
            wait_until(lambda: other.logins, "the second server")
            program.reload(two)
            program.wait_for_log("configuration applied", 2 * number)
            wait_until(lambda: not other.logins, "the second server gone")
            if number == 1:
                before = program.descriptors()
        wait_until(lambda: program.descriptors() <= before, "no descriptors lost")
        assert len(server.connections) == 1
