"""Passwords, logouts, SHA-256 and proxies, with the real program and real clients."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from requests.auth import HTTPDigestAuth
from websockets.exceptions import InvalidStatus

from tests.support.forkserver import run_program
from tests.support.patience import WAIT
from tests.support.program import ROOT, Program, configuration, wait_until
from tests.support.program import ami_host as host
from tests.support.sse import EventSource
from tests.support.v2_client import V2Client
from tests.support.ws_client import Client

REALM = "call centre"
PASSWORD = "wonder: land"
TOKEN_HASH = "sha256:" + hashlib.sha256(b"amiws_crm").hexdigest()
TOKEN = {"Authorization": "Bearer amiws_crm"}


class Site(NamedTuple):
    folder: Path
    program: Program
    auth_file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.program.port}"

    def passwd(self, user: str, password: str | None, *options: str) -> str:
        """What --passwd says, which must go well."""
        done = passwd(self.program.file, user, password, *options)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def browser(self, password: str = PASSWORD) -> requests.Session:
        """With a login, and the cookie that comes with it."""
        session = requests.Session()
        session.auth = HTTPDigestAuth("alice", password)
        assert session.get(self.url, timeout=WAIT).status_code == 200
        return session


def passwd(
    file: Path, user: str, password: str | None, *options: str
) -> subprocess.CompletedProcess[str]:
    words = ["-f", file, "--passwd", user, *options]
    if password is not None:
        words.append("--stdin")
    return run_program(*words, given=f"{password}\n")


def cookie_of(session: requests.Session) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in session.cookies.items())}


@pytest.fixture
def more(request: pytest.FixtureRequest) -> str:
    """Further lines of the configuration."""
    return getattr(request, "param", "")


@pytest.fixture
def site(tmp_path: Path, more: str) -> Iterator[Site]:
    """With a user alice, whom --passwd has made in a file that was not there."""
    auth_file = tmp_path / "users.htdigest"
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "index.html").write_text("<title>Wallboard</title>")
    (root / "folder" / "index.html").write_text("in the folder")
    login = f"auth_domain: {REALM}\nauth_file: {auth_file}\nweb_root: {root}\n{more}"
    text = configuration(host(1), more=login)
    (tmp_path / "amiws.yaml").write_text(text)
    done = passwd(tmp_path / "amiws.yaml", "alice", PASSWORD)
    assert (done.returncode, done.stderr) == (0, "")
    with Program(tmp_path, text) as program:
        yield Site(tmp_path, program, auth_file)


# --passwd


def on_a_terminal(file: Path, user: str, *answers: str) -> tuple[int, str]:
    """The status, and all that the terminal showed; each prompt gets the next answer."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        words = [sys.executable, "-m", "amiws_gevent", "-f", str(file), "--passwd", user]
        os.execv(sys.executable, words)
    shown, waiting, end = b"", list(answers), time.monotonic() + WAIT
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 1)
        try:
            data = os.read(terminal, 4096) if ready else b""
        except OSError:  # Linux, at the end of the other side
            break
        if ready and not data:
            break
        shown += data
        if waiting and shown.endswith(b": "):
            shown += b"|"
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_the_terminal_is_asked_twice_and_shows_nothing(site: Site) -> None:
    status, shown = on_a_terminal(site.program.file, "bob", "s3cret pass", "s3cret pass")
    assert status == 0, shown
    assert shown.count("|") == 2
    assert "s3cret" not in shown
    assert "user 'bob' of the realm call centre added" in shown
    answer = requests.get(site.url, auth=HTTPDigestAuth("bob", "s3cret pass"), timeout=WAIT)
    assert answer.status_code == 200


def test_two_different_passwords_change_nothing(site: Site) -> None:
    before = site.auth_file.read_bytes()
    status, shown = on_a_terminal(site.program.file, "alice", "one", "two")
    assert status == 2
    assert "the two passwords differ" in shown
    assert site.auth_file.read_bytes() == before


def test_an_interrupt_changes_nothing(site: Site) -> None:
    before = site.auth_file.read_bytes()
    status, shown = on_a_terminal(site.program.file, "alice", "one", "\x03")
    assert status == 130, shown
    assert "Traceback" not in shown
    assert site.auth_file.read_bytes() == before


def test_without_a_terminal_it_does_not_ask(site: Site) -> None:
    words = [sys.executable, "-m", "amiws_gevent", "-f", str(site.program.file), "--passwd", "bob"]
    done = subprocess.run(
        words, text=True, capture_output=True, timeout=WAIT, cwd=ROOT,
        input="secret\nsecret\n", start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--stdin" in done.stderr
    assert b"bob" not in site.auth_file.read_bytes()


def test_mistakes_are_told(tmp_path: Path) -> None:
    file = tmp_path / "amiws.yaml"
    file.write_text("auth_domain: a\n")
    done = passwd(file, "alice", "x")
    assert (done.returncode, done.stdout) == (78, "")
    assert "auth_file: is missing" in done.stderr
    file.write_text(f"auth_domain: a\nauth_file: {tmp_path}/none/users\n")
    assert passwd(file, "alice", "x").returncode == 73
    assert passwd(file, "a:b", "x").returncode == 2
    file.write_text(f"auth_domain: a\nauth_file: {tmp_path}/users\n")
    removed = passwd(file, "alice", None, "--delete")
    assert removed.returncode == 73
    assert "there is no user 'alice'" in removed.stderr
    assert not (tmp_path / "users").exists()
    for options in (["--delete"], ["--stdin"]):
        words = [sys.executable, "-m", "amiws_gevent", *options]
        assert subprocess.run(words, capture_output=True, timeout=WAIT, cwd=ROOT).returncode == 2


# What is open


class Open:
    """One of each way to be connected, with the same login."""

    def __init__(self, site: Site, headers: dict[str, str]) -> None:
        port = site.program.port
        self.classic = Client(port, additional_headers=headers)
        self.v2 = V2Client(port, additional_headers=headers)
        self.v2.subscribe("events")
        self.stream = EventSource(port, "/api/v1/events", headers)
        assert self.stream.status == 200
        first = self.stream.next()
        assert first is not None
        assert first.type == "subscribed"

    def ends_with(self, code: int, reason: str) -> None:
        assert self.classic.wait_closed() == code
        assert self.v2.wait_closed() == code
        assert self.classic.close_reason == self.v2.close_reason == reason
        while self.stream.next() is not None:
            pass
        self.stream.close()


def test_a_new_password_ends_what_is_open(site: Site) -> None:
    opened = Open(site, cookie_of(site.browser()))
    told = site.passwd("alice", "another")
    assert "has a new password" in told
    opened.ends_with(4401, "its login or token is not valid any more")
    wrong = requests.get(site.url, auth=HTTPDigestAuth("alice", PASSWORD), timeout=WAIT)
    assert wrong.status_code == 401
    site.browser("another")


def test_a_removed_user_and_another_who_stays(site: Site) -> None:
    site.passwd("bob", "two")
    bob = requests.Session()
    bob.auth = HTTPDigestAuth("bob", "two")
    assert bob.get(site.url, timeout=WAIT).status_code == 200
    alices, bobs = (
        Open(site, cookie_of(site.browser())),
        Client(site.program.port, additional_headers=cookie_of(bob)),
    )
    assert "removed" in site.passwd("alice", None, "--delete")
    alices.ends_with(4401, "its login or token is not valid any more")
    bobs.send({"Action": "Ping", "ActionID": "x"})
    bobs.wait_for(lambda message: message["data"].get("ActionID") == "x", "an answer")
    bobs.close()


@pytest.mark.parametrize(
    "more", [f"api_tokens:\n- name: crm\n  hash: {TOKEN_HASH}\n"], indirect=True
)
def test_a_token_that_a_reload_takes_back(site: Site, more: str) -> None:
    opened = Open(site, TOKEN)
    staying = Client(site.program.port, additional_headers=cookie_of(site.browser()))
    site.program.reload(site.program.file.read_text().replace(more, ""))
    opened.ends_with(4401, "its login or token is not valid any more")
    site.program.wait_for_log("configuration applied")
    staying.send({"Action": "Ping", "ActionID": "x"})
    staying.wait_for(lambda message: message["data"].get("ActionID") == "x", "an answer")
    staying.close()


# Logout


def log_out(site: Site, session: requests.Session, **options: Any) -> requests.Response:
    options.setdefault("json", {})
    return session.post(f"{site.url}/api/v1/logout", timeout=WAIT, **options)


def test_a_logout_ends_the_session_and_all_that_is_open(site: Site) -> None:
    session, other = site.browser(), site.browser()
    cookie = cookie_of(session)
    opened = Open(site, cookie)
    staying = Client(site.program.port, additional_headers=cookie_of(other))
    assert isinstance(session.auth, HTTPDigestAuth)
    again = session.auth.build_digest_header("GET", site.url + "/")  # the next with this nonce
    assert again is not None
    done = log_out(site, session)
    assert (done.status_code, done.json()) == (200, {"logout_url": None})
    assert not session.cookies
    opened.ends_with(4410, "logged out")
    refused = requests.get(site.url, headers={"Authorization": again}, timeout=WAIT)
    assert refused.status_code == 401
    assert "stale" not in refused.headers["WWW-Authenticate"].lower()
    assert (
        requests.get(f"{site.url}/api/v1/servers", headers=cookie, timeout=WAIT).status_code == 401
    )
    with pytest.raises(InvalidStatus):
        Client(site.program.port, additional_headers=cookie)
    staying.send({"Action": "Ping", "ActionID": "x"})
    staying.wait_for(lambda message: message["data"].get("ActionID") == "x", "an answer")
    staying.close()
    assert "login refused" not in site.program.log
    assert session.get(site.url, timeout=WAIT).status_code == 200  # by the password, anew


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_logout_outlives_a_restart(tmp_path: Path, kill: int) -> None:
    """Killed right after the answer, too; who has not logged out stays logged in."""
    auth_file, state = tmp_path / "users.htdigest", tmp_path / "state.json"
    login = f"auth_domain: {REALM}\nauth_file: {auth_file}\nstate_file: {state}\n"
    text = configuration(host(1), more=login)
    (tmp_path / "amiws.yaml").write_text(text)
    assert passwd(tmp_path / "amiws.yaml", "alice", PASSWORD).returncode == 0
    with Program(tmp_path, text) as program:
        site = Site(tmp_path, program, auth_file)
        session, other = site.browser(), site.browser()
        gone, stays = cookie_of(session), cookie_of(other)
        assert isinstance(session.auth, HTTPDigestAuth)
        again = session.auth.build_digest_header("GET", site.url + "/")
        assert again is not None
        assert log_out(site, session).status_code == 200
        program.process.send_signal(kill)
        program.process.wait(WAIT)
    with Program(tmp_path, text) as program:
        site = Site(tmp_path, program, auth_file)
        for cookie, status in ((gone, 401), (stays, 200)):
            for path in ("/api/v1/servers", "/api/v1/me"):
                found = requests.get(site.url + path, headers=cookie, timeout=WAIT)
                assert found.status_code == status
        with pytest.raises(InvalidStatus):
            Client(program.port, additional_headers=gone)
        Client(program.port, additional_headers=stays).close()
        refused = requests.get(site.url, headers={"Authorization": again}, timeout=WAIT)
        assert refused.status_code == 401
        assert "stale" not in refused.headers["WWW-Authenticate"].lower()
        served = requests.get(f"{site.url}/state.json.logouts", headers=stays, timeout=WAIT)
        assert served.status_code == 401  # pages want the login itself
    assert state.with_name("state.json.logouts").stat().st_mode & 0o777 == 0o600


def test_who_may_not_log_somebody_out(site: Site) -> None:
    """No page of another site, and no form."""
    session = site.browser()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert log_out(site, session, headers=headers).status_code == 403
    for body in ("application/x-www-form-urlencoded", "text/plain"):
        sent = log_out(site, session, data="{}", json=None, headers={"Content-Type": body})
        assert sent.status_code == 415
    assert session.get(f"{site.url}/api/v1/logout", timeout=WAIT).status_code == 405
    assert log_out(site, requests.Session()).status_code == 401
    headers = cookie_of(session)
    assert (
        requests.get(f"{site.url}/api/v1/servers", headers=headers, timeout=WAIT).status_code == 200
    )


@pytest.mark.parametrize(
    "more", [f"api_tokens:\n- name: crm\n  hash: {TOKEN_HASH}\n"], indirect=True
)
def test_a_token_has_no_session(site: Site) -> None:
    refused = log_out(site, requests.Session(), headers=TOKEN)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


# SHA-256


def curl(site: Site, *options: str) -> str:
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--digest", *options]
    done = subprocess.run(
        [*words, site.url + "/?a=b%20c"], capture_output=True, text=True, timeout=WAIT
    )
    return done.stdout


def test_clients_by_sha256_and_by_md5(site: Site) -> None:
    offered = requests.get(site.url, timeout=WAIT).raw.headers.getlist("WWW-Authenticate")
    assert [re.findall(r"algorithm=([^,]+)", value) for value in offered] == [["MD5"], ["SHA-256"]]
    auth = HTTPDigestAuth("alice", PASSWORD)
    right = requests.get(site.url, auth=auth, timeout=WAIT)
    assert right.status_code == 200
    assert "SHA-256" in right.request.headers["Authorization"]  # the last that it is offered
    assert curl(site, "--user", f"alice:{PASSWORD}") == "200"
    assert curl(site, "--user", "alice:wrong") == "401"
    wrong = requests.get(site.url, auth=HTTPDigestAuth("alice", "wrong"), timeout=WAIT)
    assert wrong.status_code == 401


def test_the_password_that_apaches_tool_has_replaced_is_dead(site: Site) -> None:
    """By SHA-256 as well: its line in the file is from before."""
    ha1 = hashlib.md5(f"alice:{REALM}:new".encode()).hexdigest()
    old = re.findall(rb"#SHA-256.*\n", site.auth_file.read_bytes())[0]
    auth = HTTPDigestAuth("alice", PASSWORD)
    assert requests.get(site.url, auth=auth, timeout=WAIT).status_code == 200
    site.auth_file.write_bytes(f"alice:{REALM}:{ha1}\n".encode() + old)
    # With the nonce and the algorithm that it has from before.
    assert requests.get(site.url, auth=auth, timeout=WAIT).status_code == 401
    offered = requests.get(site.url, timeout=WAIT).headers["WWW-Authenticate"]
    assert "SHA-256" not in offered
    site.browser("new")


# Proxies

PROXY = "auth_header: Remote-User\ntrusted_proxies: [127.0.0.1]\nlogout_url: /oauth2/sign_out\n"


@pytest.mark.parametrize("more", [PROXY], indirect=True)
def test_the_login_of_a_proxy(site: Site) -> None:
    headers = {
        "Remote-User": "carl",
        "X-Forwarded-For": "6.6.6.6, 203.0.113.7",
        "X-Forwarded-Proto": "https",
        "Origin": "https://pbx.example",
        "Host": "pbx.example",
    }
    assert requests.get(site.url, headers=headers, timeout=WAIT).status_code == 200
    client = Client(
        site.program.port,
        additional_headers={"Remote-User": "carl", "X-Forwarded-For": "203.0.113.7"},
    )
    site.program.wait_for_log("client 203.0.113.7 (carl) connected")
    foreign = headers | {"Origin": "http://pbx.example"}  # of the page that is not by TLS
    assert (
        requests.get(f"{site.url}/api/v1/servers", headers=foreign, timeout=WAIT).status_code == 403
    )
    assert (
        requests.get(f"{site.url}/api/v1/servers", headers=headers, timeout=WAIT).status_code == 200
    )
    done = requests.post(f"{site.url}/api/v1/logout", json={}, headers=headers, timeout=WAIT)
    assert done.json() == {"logout_url": "/oauth2/sign_out"}
    assert "Set-Cookie" not in done.headers
    assert client.wait_closed() == 4410


@pytest.mark.parametrize("more", [PROXY.replace("127.0.0.1", "192.0.2.1")], indirect=True)
def test_a_name_from_anybody_else(site: Site) -> None:
    headers = {"Remote-User": "carl", "X-Forwarded-For": "192.0.2.1"}
    for target in ("/", "/api/v1/servers", "/api/v1/events"):
        assert requests.get(site.url + target, headers=headers, timeout=WAIT).status_code == 401
    with pytest.raises(InvalidStatus):
        Client(site.program.port, additional_headers=headers)
    assert "carl" not in site.program.log


@pytest.mark.parametrize(
    "more", ["trusted_proxies: 127.0.0.1\nlimits: {failed_logins: 2}\n"], indirect=True
)
def test_wrong_passwords_count_for_the_client_behind_the_proxy(site: Site) -> None:
    def status(address: str, password: str) -> int:
        session = requests.Session()
        session.headers["X-Forwarded-For"] = f"198.51.100.1, {address}"
        session.auth = HTTPDigestAuth("alice", password)
        return session.get(site.url, timeout=WAIT).status_code

    wait_until(lambda: status("203.0.113.7", "guess") == 429, "too many")
    assert status("203.0.113.7", PASSWORD) == 429
    assert status("203.0.113.8", PASSWORD) == 200
    site.program.wait_for_log("login refused: address=203.0.113.7 user=")
    assert "198.51.100.1" not in site.program.log


@pytest.mark.parametrize("more", ["path_prefix: /tools/amiws\n"], indirect=True)
def test_below_a_prefix(site: Site) -> None:
    base = f"{site.url}/tools/amiws"
    session = requests.Session()
    session.auth = HTTPDigestAuth("alice", PASSWORD)
    page = session.get(f"{base}/", timeout=WAIT)
    assert page.text == "<title>Wallboard</title>"
    assert [cookie.path for cookie in session.cookies] == ["/tools/amiws/"]
    folder = session.get(f"{base}/folder", timeout=WAIT)
    assert folder.url == f"{base}/folder/"
    assert folder.text == "in the folder"
    assert session.get(f"{base}/api/v1/servers", timeout=WAIT).status_code == 200
    url = f"ws://127.0.0.1:{site.program.port}/tools/amiws/ws"
    with Client(site.program.port, url=url, additional_headers=cookie_of(session)):
        pass
    assert session.get(f"{site.url}/tools/other/", timeout=WAIT).status_code == 404
    assert curl(site, "--user", f"alice:{PASSWORD}", "--path-as-is") == "200"


@pytest.mark.parametrize("more", ["trusted_proxies: 127.0.0.1\n"], indirect=True)
def test_a_prefix_that_the_proxy_has_removed(site: Site) -> None:
    """The browser's login is over the path that it knows."""
    challenge = requests.get(site.url, timeout=WAIT).headers["WWW-Authenticate"]
    nonce = re.findall(r'nonce="([^"]+)"', challenge)[0]

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    def status(nc: int, uri: str, **headers: str) -> int:
        ha1, ha2 = md5(f"alice:{REALM}:{PASSWORD}"), md5(f"GET:{uri}")
        response = md5(f"{ha1}:{nonce}:{nc:08x}:c:auth:{ha2}")
        headers["Authorization"] = (
            f'Digest username="alice", realm="{REALM}", nonce="{nonce}", uri="{uri}", qop=auth, '
            f'nc={nc:08x}, cnonce="c", response="{response}"'
        )
        return requests.get(f"{site.url}/?x", headers=headers, timeout=WAIT).status_code

    prefix = {"X-Forwarded-Prefix": "/amiws"}
    assert status(1, "/amiws/?x", **prefix) == 200
    assert status(2, "/?x", **prefix) == 200
    assert status(3, "/amiws/?x") == 401
    assert status(4, "/evil/?x", **prefix) == 401
