"""A web site whose name points at the real program: warned of, and refused with allowed_hosts."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidStatus

from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration
from tests.support.ws_client import Client

EVIL = "evil.example.com"


def client_by_name(program: Program, name: str, **options: Any) -> Client:
    """A client that the program itself has served, as its browser believes."""
    authority = f"{name}:{program.port}"
    options.setdefault("origin", f"http://{authority}")
    connected = socket.create_connection(("127.0.0.1", program.port), timeout=WAIT)
    return Client(program.port, url=f"ws://{authority}/ws", sock=connected, **options)


def get(program: Program, name: str, path: str = "/") -> requests.Response:
    url = f"http://127.0.0.1:{program.port}{path}"
    return requests.get(url, headers={"Host": f"{name}:{program.port}"}, timeout=WAIT)


def test_a_file_of_amiws_works_by_any_name_and_the_log_has_the_line_to_add(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
    ):
        server.wait_login()
        for _ in range(2):
            with client_by_name(program, EVIL) as client:
                server.send(b"Event: Hello\r\n\r\n")
                client.wait_for_event("Hello")
        program.wait_for_log(f'allowed_hosts: ["{EVIL}"]')
        for name in ("127.0.0.1", "localhost", "pbx"):
            with client_by_name(program, name):
                pass
        assert program.log.count("DNS rebinding") == 1
        assert get(program, EVIL).status_code == 200


def test_with_allowed_hosts_other_names_are_refused(tmp_path: Path) -> None:
    more = "allowed_hosts: [pbx.example.com, .wall.example.com]"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
    ):
        server.wait_login()
        with pytest.raises(InvalidStatus) as caught:
            client_by_name(program, EVIL)
        assert caught.value.response.status_code == 403
        setting = f'allowed_hosts: ["{EVIL}"]'
        assert setting in (caught.value.response.body or b"").decode()
        program.wait_for_log(setting)
        for path in ("/", "/metrics", "/readyz", "/api/anything"):
            answer = get(program, EVIL, path)
            told = answer.json()["detail"] if path.startswith("/api/") else answer.text
            assert (answer.status_code, setting in told) == (403, True), path
        for name in ("127.0.0.1", "localhost", "PBX.example.com", "a.wall.example.com"):
            with client_by_name(program, name):
                pass
            assert get(program, name).status_code == 200
        with client_by_name(program, EVIL, origin=None):  # a program
            pass


def test_a_reload_lets_another_name_in(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(
            tmp_path, configuration(ami_host(server.port), more="allowed_hosts: []")
        ) as program,
    ):
        assert get(program, "pbx.example.com").status_code == 403
        text = program.file.read_text()
        program.reload(text.replace("allowed_hosts: []", "allowed_hosts: [pbx.example.com]"))
        program.wait_for_log("configuration applied")
        assert get(program, "pbx.example.com").status_code == 200
        assert get(program, EVIL).status_code == 403


def test_a_name_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    text = configuration(ami_host(5038), more="allowed_hosts: ['http://pbx.example.com']")
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with AmiServer() as server, Program(tmp_path, configuration(ami_host(server.port))) as program:
        program.reload(text)
        program.wait_for_log("configuration not applied")
        program.wait_for_log("allowed_hosts: must be names such as pbx.example.com")
