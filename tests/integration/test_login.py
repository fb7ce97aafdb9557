"""Digest on clients and on the upgrade, the cookie, Origin: against the real program."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from requests.auth import HTTPDigestAuth
from websockets.exceptions import InvalidStatus

from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client

REALM = "asterisk"


def htdigest_line(user: str, password: str, realm: str = REALM) -> str:
    ha1 = hashlib.md5(f"{user}:{realm}:{password}".encode()).hexdigest()
    return f"{user}:{realm}:{ha1}\n"


class Setup(NamedTuple):
    server: AmiServer
    program: Program
    auth_file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.program.port}"


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    auth_file = tmp_path / "users.htdigest"
    auth_file.write_text(
        htdigest_line("alice", "wonder: land") + htdigest_line("bob", "x", "other realm")
    )
    root = tmp_path / "root"
    root.mkdir()
    (root / "index.html").write_text("<title>Wallboard</title>")
    (root / ".htaccess").write_text("secret")
    (root / "users.htdigest").symlink_to(auth_file)
    more = (
        f"auth_domain: {REALM}\nauth_file: {auth_file}\nweb_root: {root}\n"
        "allowed_origins: ['https://intranet.example']"
    )
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
    ):
        server.wait_login()
        yield Setup(server, program, auth_file)


def refused(setup: Setup, **options: object) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as caught:
        Client(setup.program.port, **options)  # type: ignore[arg-type]
    return caught.value


def test_right_and_wrong_passwords(setup: Setup) -> None:
    right = requests.get(setup.url, auth=HTTPDigestAuth("alice", "wonder: land"), timeout=WAIT)
    assert (right.status_code, right.text) == (200, "<title>Wallboard</title>")
    for user, password in [("alice", "wrong"), ("bob", "x"), ("nobody", "x"), ("", "")]:
        wrong = requests.get(setup.url, auth=HTTPDigestAuth(user, password), timeout=WAIT)
        assert wrong.status_code == 401
        assert f'realm="{REALM}"' in wrong.headers["WWW-Authenticate"]
        assert "Wallboard" not in wrong.text
    log = setup.program.log
    assert "wonder" not in log
    assert hashlib.md5(f"alice:{REALM}:wonder: land".encode()).hexdigest() not in log


def test_curl(setup: Setup) -> None:
    for password, status in [("wonder: land", "200"), ("wrong", "401")]:
        done = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--digest", "--user",
             f"alice:{password}", setup.url + "/?a=b%20c"],
            capture_output=True, text=True, timeout=WAIT,
        )  # fmt: skip
        assert done.stdout == status


def test_a_changed_auth_file_is_seen_and_revokes_the_cookie(setup: Setup) -> None:
    session = requests.Session()
    session.auth = HTTPDigestAuth("alice", "wonder: land")
    assert session.get(setup.url, timeout=WAIT).status_code == 200
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    with Client(setup.program.port, additional_headers={"Cookie": cookie}):
        pass
    setup.auth_file.write_text(htdigest_line("alice", "new password"))
    os.utime(setup.auth_file, (1, 1))
    wait_until(
        lambda: requests.get(
            setup.url, auth=HTTPDigestAuth("alice", "new password"), timeout=WAIT
        ).status_code == 200,
        "the new password",
    )  # fmt: skip
    old = requests.get(setup.url, auth=HTTPDigestAuth("alice", "wonder: land"), timeout=WAIT)
    assert old.status_code == 401
    error = refused(setup, additional_headers={"Cookie": cookie})
    assert error.response.status_code == 401


def digest_header(challenge: str, target: str, nc: int, password: str = "wonder: land") -> str:
    nonce = re.findall(r'nonce="([^"]+)"', challenge)[0]
    ha1 = hashlib.md5(f"alice:{REALM}:{password}".encode()).hexdigest()
    ha2 = hashlib.md5(f"GET:{target}".encode()).hexdigest()
    response = hashlib.md5(f"{ha1}:{nonce}:{nc:08x}:c:auth:{ha2}".encode()).hexdigest()
    return (
        f'Digest username="alice", realm="{REALM}", nonce="{nonce}", uri="{target}", '
        f'qop=auth, nc={nc:08x}, cnonce="c", response="{response}"'
    )


def get(setup: Setup, authorization: str, target: str = "/") -> requests.Response:
    return requests.get(setup.url + target, headers={"Authorization": authorization}, timeout=WAIT)


def test_a_replayed_nonce_count_and_a_stale_nonce(setup: Setup) -> None:
    challenge = requests.get(setup.url, timeout=WAIT).headers["WWW-Authenticate"]
    first = digest_header(challenge, "/", 1)
    assert get(setup, first).status_code == 200
    assert get(setup, first).status_code == 401  # replayed
    assert get(setup, digest_header(challenge, "/", 2)).status_code == 200
    assert get(setup, digest_header(challenge, "/other", 3)).status_code == 401  # another uri
    forged = re.sub(r'nonce="[^"]+"', 'nonce="bm90LW91cnM="', challenge)
    stale = get(setup, digest_header(forged, "/", 1))
    assert stale.status_code == 401
    assert "stale=true" in stale.headers["WWW-Authenticate"].lower()
    wrong = get(setup, digest_header(forged, "/", 1, "wrong"))
    assert "stale=true" not in wrong.headers["WWW-Authenticate"].lower()


def test_the_upgrade_without_a_login_is_a_401_that_says_why(setup: Setup) -> None:
    error = refused(setup)
    assert error.response.status_code == 401
    assert b"auth_websocket" in (error.response.body or b"")
    assert error.response.headers["WWW-Authenticate"].startswith("Digest ")
    setup.program.wait_for_log("auth_websocket")


def test_the_upgrade_with_digest(setup: Setup) -> None:
    challenge = requests.get(setup.url, timeout=WAIT).headers["WWW-Authenticate"]
    header = digest_header(challenge, "/ws", 1)
    with Client(setup.program.port, additional_headers={"Authorization": header}) as client:
        setup.server.send(b"Event: Hello\r\n\r\n")
        client.wait_for_event("Hello")
    setup.program.wait_for_log("(alice)")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:{port}"]
)
def test_a_foreign_origin_is_a_403_that_says_what_to_change(setup: Setup, origin: str) -> None:
    challenge = requests.get(setup.url, timeout=WAIT).headers["WWW-Authenticate"]
    header = digest_header(challenge, "/ws", 1)
    error = refused(
        setup,
        additional_headers={"Authorization": header},
        origin=origin.format(port=setup.program.port),
    )
    assert error.response.status_code == 403
    assert b"allowed_origins" in (error.response.body or b"")
    setup.program.wait_for_log("allowed_origins")


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{port}", "https://intranet.example"])
def test_own_and_allowed_origins(setup: Setup, origin: str) -> None:
    challenge = requests.get(setup.url, timeout=WAIT).headers["WWW-Authenticate"]
    header = digest_header(challenge, "/ws", 1)
    with Client(
        setup.program.port,
        additional_headers={"Authorization": header},
        origin=origin.format(port=setup.program.port),
    ):
        pass


def test_auth_websocket_false_gives_amiws_behaviour_back(setup: Setup) -> None:
    text = setup.program.file.read_text().replace("amihosts:", "auth_websocket: false\namihosts:")
    setup.program.reload(text)
    setup.program.wait_for_log("configuration applied")
    with Client(setup.program.port) as client:
        setup.server.send(b"Event: Open\r\n\r\n")
        client.wait_for_event("Open")
    assert requests.get(setup.url, timeout=WAIT).status_code == 401


def test_files_that_are_never_served(setup: Setup) -> None:
    session = requests.Session()
    for target in [
        "/.htaccess",
        "/users.htdigest",
        "/%2e%2e/users.htdigest",
        "/..%2fusers.htdigest",
    ]:
        session.auth = HTTPDigestAuth("alice", "wonder: land")
        request = requests.Request("GET", setup.url + "/", auth=session.auth).prepare()
        request.url = setup.url + target
        answer = session.send(request, timeout=WAIT)
        assert answer.status_code in (400, 401, 404), target
        assert "alice:" not in answer.text
        assert "secret" not in answer.text
