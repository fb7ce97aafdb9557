"""Guessed passwords at the real program, and other users behind the same address."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from requests.auth import HTTPDigestAuth

from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration
from tests.support.ws_client import Client

REALM = "asterisk"
MOST = 10  # each is made up for in 10 s: on a slow machine some more are looked at


def htdigest(**passwords: str) -> str:
    lines = []
    for user, password in passwords.items():
        ha1 = hashlib.md5(f"{user}:{REALM}:{password}".encode()).hexdigest()
        lines.append(f"{user}:{REALM}:{ha1}\n")
    return "".join(lines)


class Setup(NamedTuple):
    program: Program
    auth_file: Path

    def get(
        self, user: str, password: str, session: requests.Session | None = None, path: str = "/"
    ) -> requests.Response:
        asks = session or requests.Session()
        url = f"http://127.0.0.1:{self.program.port}{path}"
        return asks.get(url, auth=HTTPDigestAuth(user, password), timeout=WAIT)

    def guess(self, user: str = "alice") -> list[requests.Response]:
        """Wrong logins, up to the first that nobody looks at."""
        answers = [self.get(user, "guess")]
        while answers[-1].status_code == 401 and len(answers) < 10 * MOST:
            answers.append(self.get(user, "guess"))
        assert answers[-1].status_code == 429
        return answers


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    auth_file = tmp_path / "users.htdigest"
    auth_file.write_text(htdigest(alice="one", bob="two"))
    more = f"auth_domain: {REALM}\nauth_file: {auth_file}\nlimits:\n  failed_logins: {MOST}\n"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
    ):
        server.wait_login()
        yield Setup(program, auth_file)


def cookie_of(session: requests.Session) -> str:
    return "; ".join(f"{name}={value}" for name, value in session.cookies.items())


def test_a_guesser_is_stopped_and_others_are_not(setup: Setup) -> None:
    session = requests.Session()
    assert setup.get("alice", "one", session).status_code == 200
    cookie = cookie_of(session)
    answers = setup.guess()
    assert len(answers) > MOST
    setup.program.wait_for_log('login refused: address=127.0.0.1 user="alice": wrong password')
    answer = setup.get("bob", "two", path="/metrics")
    assert answer.status_code == 200
    refused = dict(re.findall(r'amiws_logins_refused_total\{reason="(\w+)"\} (\S+)', answer.text))
    assert (float(refused["password"]), float(refused["limit"])) == (len(answers) - 1, 1)
    # Who is logged in stays so: on the clients, and with a new WebSocket.
    assert setup.get("alice", "one", session).status_code == 200
    with Client(setup.program.port, additional_headers={"Cookie": cookie}):
        pass


def test_too_many_are_told_when_to_come_again(setup: Setup) -> None:
    last = setup.guess("nobody")[-1]
    assert 1 <= int(last.headers["Retry-After"]) <= 10
    assert "WWW-Authenticate" not in last.headers
    assert "Try again in" in last.text
    assert setup.get("bob", "two").status_code == 200


def test_a_reload_does_not_forget(setup: Setup) -> None:
    setup.guess()
    setup.program.reload()
    setup.program.wait_for_log("configuration applied")
    assert len(setup.guess()) <= MOST


@pytest.mark.parametrize("before", [True, False], ids=["changed-before", "changed-after"])
def test_a_reload_does_not_forget_passwords_that_were_right(setup: Setup, before: bool) -> None:
    assert setup.get("alice", "one").status_code == 200
    changed = htdigest(alice="changed", bob="two")
    if before:
        setup.auth_file.write_text(changed)
        assert setup.get("alice", "changed").status_code == 200
    setup.program.reload()
    setup.program.wait_for_log("configuration applied")
    setup.auth_file.write_text(changed)
    assert [setup.get("alice", "one").status_code for _ in range(2 * MOST)] == [401] * 2 * MOST
    assert setup.get("alice", "changed").status_code == 200
    assert "login refused: " not in setup.program.log


def test_thirty_wallboards_that_nobody_told_the_new_password(setup: Setup) -> None:
    assert setup.get("alice", "one").status_code == 200
    setup.auth_file.write_text(htdigest(alice="changed", bob="two"))
    assert [setup.get("alice", "one").status_code for _ in range(30)] == [401] * 30
    assert setup.get("alice", "changed").status_code == 200
    setup.program.wait_for_log("login with a former password: ")
    assert "login refused: " not in setup.program.log
