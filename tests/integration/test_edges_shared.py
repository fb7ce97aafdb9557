"""What two edges share, whichever of them a load balancer takes for a request."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth
from requests.utils import parse_dict_header
from websockets.exceptions import InvalidStatus

from amiws_gevent.web.verdict import LOGGED_OUT
from tests.support.ami_server import AmiServer
from tests.support.listing import Lists, channel
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, wait_until
from tests.support.site import Site, logged_in
from tests.support.v2_client import V2Client
from tests.support.ws_client import Client

pytestmark = pytest.mark.slow

REALM = "call centre"
BURST, AT_ONCE = 6, 3


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    lists = Lists()
    lists.items = {"CoreShowChannels": [channel(number) for number in range(5)]}
    with AmiServer(on_action=lists) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, ami: AmiServer) -> Iterator[Site]:
    users = tmp_path / "users"
    users.write_text("".join(map(_htdigest, ("alice", "bob"))))
    more = (
        f"auth_domain: {REALM}\nauth_file: {users}\nlimits:\n  failed_logins: {AT_ONCE}\n"
        f"  actions_per_second: 1\n  actions_burst: {BURST}\n"
    )
    with Site(tmp_path, ami_host(ami.port), more=more) as made:
        yield made


def _htdigest(user: str) -> str:
    return f"{user}:{REALM}:{hashlib.md5(f'{user}:{REALM}:right'.encode()).hexdigest()}\n"


def ask(edge: Program, path: str, **headers: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{edge.port}{path}", headers=headers, timeout=WAIT)


def login(edge: Program, user: str, password: str = "right") -> HTTPDigestAuth:
    """Who answers a challenge of that edge, and then goes on counting."""
    auth = HTTPDigestAuth(user, password)
    auth.init_per_thread_state()
    challenge = ask(edge, "/api/v1/me").headers["WWW-Authenticate"].removeprefix("Digest ")
    auth._thread_local.chal = parse_dict_header(challenge)  # type: ignore[attr-defined]
    return auth


def digest(auth: HTTPDigestAuth, path: str = "/api/v1/me") -> dict[str, str]:
    made = auth.build_digest_header("GET", path)  # type: ignore[no-untyped-call]
    assert made is not None
    return {"Authorization": made}


def status(edge: Program, **headers: str) -> int:
    return ask(edge, "/api/v1/me", **headers).status_code


def test_edges_share_what_must_not_be_ones_own(site: Site, ami: AmiServer) -> None:
    site.collector()
    logged_in(ami)
    one, other = site.edge(), site.edge()
    cookie = digests(one, other)
    wrong_passwords(one, other)
    pages(one, other, cookie)
    actions(one, other, cookie)
    logouts(one, other, cookie)
    without_redis(site, one, other)


def digests(one: Program, other: Program) -> dict[str, str]:
    """A challenge of one holds at the other, each count at one of them; returns a cookie."""
    auth = login(one, "alice")
    used = digest(auth)
    answer = ask(other, "/api/v1/me", **used)
    assert answer.status_code == 200
    for edge in (one, other):
        again = ask(edge, "/api/v1/me", **used)
        assert again.status_code == 401
        assert "stale=true" in again.headers["WWW-Authenticate"]
    assert status(one, **digest(auth)) == 200
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}
    for edge in (one, other):
        assert status(edge, **cookie) == 200
    return cookie


def wrong_passwords(one: Program, other: Program) -> None:
    begun = time.monotonic()
    found = [status(edge, **digest(login(edge, "bob", "guess"))) for edge in (one, other) * AT_ONCE]
    looked_at = found.count(401)
    assert AT_ONCE <= looked_at <= AT_ONCE + (time.monotonic() - begun) // 10, "at both together"
    assert status(other, **digest(login(other, "alice"))) == 200


def pages(one: Program, other: Program, cookie: dict[str, str]) -> None:
    """A list goes on at the other edge, whichever it is."""
    query = "/api/v1/state/channel?limit=2"
    wait_until(lambda: len(ask(one, query, **cookie).json()["items"]) == 2, "the state")
    page = ask(one, query, **cookie).json()
    ids = [item["id"] for item in page["items"]]
    for edge in (other, one):
        assert page["next"]
        page = ask(edge, f"{query}&next={page['next']}", **cookie).json()
        ids += [item["id"] for item in page["items"]]
    assert (ids, page["next"]) == ([f"{number}.1" for number in range(5)], None)


def actions(one: Program, other: Program, cookie: dict[str, str]) -> None:
    options: dict[str, Any] = {"additional_headers": cookie}
    begun = time.monotonic()
    with V2Client(one.port, **options) as first, V2Client(other.port, **options) as second:
        replies = [
            client.request("action", server=1, action={"Action": "Ping"})
            for client in (first, second) * BURST
        ]
    done = [reply for reply in replies if reply["op"] == "reply"]
    refused = {reply["code"] for reply in replies if reply["op"] == "error"}
    assert BURST <= len(done) <= BURST + time.monotonic() - begun, "from both together"
    assert refused == {"actions_too_fast"}


def logouts(one: Program, other: Program, cookie: dict[str, str]) -> None:
    with Client(other.port, additional_headers=cookie) as client:
        done = requests.post(
            f"http://127.0.0.1:{one.port}/api/v1/logout", json={}, headers=cookie, timeout=WAIT
        )
        assert done.status_code == 200
        wait_until(lambda: client.close_code is not None, "the close")
        assert client.close_reason == LOGGED_OUT
    with pytest.raises(InvalidStatus):
        Client(other.port, additional_headers=cookie)


def without_redis(site: Site, one: Program, other: Program) -> None:
    site.redis.kill()
    for edge in (one, other):
        auth = login(edge, "alice")
        used = digest(auth)
        assert status(edge, **used) == 200
        assert status(edge, **used) == 401, "its own counts hold"
    site.redis.start()
    wait_until(lambda: status(other, **digest(login(one, "alice"))) == 200, "they share again")
