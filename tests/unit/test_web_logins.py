"""The ways to log in: sessions and their end, names from a proxy; Digest is in test_web_gate.py."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.identity import DIGEST, PROXY, TOKEN
from amiws_gevent.plugins.api import Headers, RequestInfo
from amiws_gevent.web.digest import NONCE_LIFETIME
from amiws_gevent.web.gate import Gate
from amiws_gevent.web.tokens import hash_of, make_token
from amiws_gevent.web.verdict import LOGGED_OUT, LOGIN_GONE, Grant, Verdict
from tests.unit.test_web_gate import REALM, World, answer, header

PROXY_ADDRESS = "10.0.0.1"
BY_PROXY: dict[str, Any] = {
    "auth_header": "Remote-User",
    "trusted_proxies": "10.0.0.0/30",
    "auth_domain": None,
    "auth_file": None,
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def request(
    *headers: tuple[str, str], proxy: str = "", method: str = "GET", **more: Any
) -> RequestInfo:
    pairs = Headers([("Host", "pbx:8000"), *headers])
    return RequestInfo(method, "/", pairs, "http", "203.0.113.7", proxy=proxy, **more)


def api(world: World, *headers: tuple[str, str], **more: Any) -> Verdict:
    return world.gate.check_api(request(*headers, **more))


def log_out(world: World, grant: Grant, **more: Any) -> str:
    return world.gate.log_out(grant, request(**more))


# Sessions of auth_file


def test_the_kinds_of_login(world: World) -> None:
    assert world.page(world.digest()).grant.kind == DIGEST
    assert world.upgrade(world.log_in()).grant.kind == DIGEST
    token = make_token()
    changes = {"api_tokens": [{"name": "crm", "hash": hash_of(token)}]}
    tokens = World(world.path.parent, **changes)
    grant = api(tokens, ("Authorization", f"Bearer {token}")).grant
    assert (grant.user, grant.kind) == ("token:crm", TOKEN)


def test_a_logout_ends_the_cookie_and_the_nonce(world: World) -> None:
    login = world.digest()
    page = world.page(login)
    cookie = ("Cookie", header(page, "Set-Cookie").split(";")[0])
    socket = world.upgrade(cookie)
    assert world.gate.end_of(socket.grant, websocket=True) is None
    grant = api(world, cookie).grant
    gone = log_out(world, grant)
    assert gone.startswith("amiws_session_8000=; Max-Age=0; Path=/; HttpOnly")
    assert world.gate.end_of(socket.grant, websocket=True) == LOGGED_OUT
    assert world.upgrade(cookie).status == 401
    assert api(world, cookie).status == 401
    nonce = login[1].partition('nonce="')[2].partition('"')[0]
    again = world.page(with_nonce(nonce, 2))
    assert again.status == 401
    assert "stale" not in header(again, "WWW-Authenticate").lower()
    assert not world.failed.refused  # nobody has guessed
    assert world.page(answer(again, "anna", "one")).status == 200
    assert len(world.failed) == 0


def with_nonce(nonce: str, nc: int, user: str = "anna", password: str = "one") -> tuple[str, str]:
    """A right login with a nonce that the client has from before."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    ha1 = md5(f"{user}:{REALM}:{password}")
    response = md5(f"{ha1}:{nonce}:{nc:08x}:c:auth:{md5('GET:/')}")
    value = (
        f'Digest username="{user}", realm="{REALM}", nonce="{nonce}", uri="/", qop=auth, '
        f'nc={nc:08x}, cnonce="c", response="{response}"'
    )
    return ("Authorization", value)


def nonce_of(verdict: Verdict) -> str:
    return header(verdict, "WWW-Authenticate").partition('nonce="')[2].partition('"')[0]


def test_a_logout_with_the_cookie_ends_the_nonce_beside_it(world: World) -> None:
    """As browsers send both; the nonce is of another session than the cookie."""
    cookie = world.log_in()
    nonce = nonce_of(world.page())
    other = world.page(with_nonce(nonce, 1), cookie)
    assert len(other.grant.sessions) == 2
    assert not any(name == "Set-Cookie" for name, _ in other.headers)
    grant = api(world, cookie, with_nonce(nonce, 2)).grant
    assert grant.sessions == other.grant.sessions
    log_out(world, grant)
    assert world.page(with_nonce(nonce, 3)).status == 401
    assert world.upgrade(cookie).status == 401


def test_all_nonces_of_a_session_end(world: World) -> None:
    """A browser that keeps no cookies, and was given one nonce after the other."""
    first = nonce_of(world.page())
    opened = world.upgrade(with_nonce(first, 1))
    world.clock.now += NONCE_LIFETIME + 1
    stale = world.page(with_nonce(first, 2))
    assert "stale=true" in header(stale, "WWW-Authenticate")
    second = nonce_of(stale)
    grant = api(world, with_nonce(second, 1)).grant
    assert grant.sessions == opened.grant.sessions
    log_out(world, grant)
    assert world.gate.end_of(opened.grant, websocket=True) == LOGGED_OUT
    for nonce in (first, second):
        refused = world.page(with_nonce(nonce, 9))
        assert refused.status == 401
        assert "stale" not in header(refused, "WWW-Authenticate")


def test_another_browser_stays(world: World) -> None:
    one, other = world.log_in(), world.log_in()
    socket = world.upgrade(other)
    log_out(world, api(world, one).grant)
    assert world.upgrade(other).status == 200
    assert world.gate.end_of(socket.grant, websocket=True) is None


def test_nobody_ends_the_session_of_another(world: World) -> None:
    """By sending a nonce of somebody else beside one's own cookie."""
    bobs = nonce_of(world.page())
    assert world.page(with_nonce(bobs, 1, "bob", "two")).status == 200
    grant = api(world, world.log_in(), with_nonce(bobs, 2)).grant
    log_out(world, grant)
    assert world.page(with_nonce(bobs, 3, "bob", "two")).status == 200


def test_a_made_up_nonce_beside_the_cookie(world: World) -> None:
    cookie = world.log_in()
    for authorization in ('Digest nonce="AAAA"', "Digest", "Digest nonce=", "Basic x", "\xff"):
        grant = api(world, cookie, ("Authorization", authorization)).grant
        assert len(grant.sessions) == 1


def test_a_logout_outlives_a_reload(world: World) -> None:
    cookie = world.log_in()
    nonce = nonce_of(world.page())
    log_out(world, api(world, cookie, with_nonce(nonce, 1)).grant)
    world.reload()
    assert world.upgrade(cookie).status == 401
    refused = world.page(with_nonce(nonce, 2))
    assert "stale" not in header(refused, "WWW-Authenticate")


def test_a_logout_outlives_a_restart(tmp_path: Path) -> None:
    """With ``state_file``, as far as what it ended does: the cookie, and the browser's password."""
    world = World(tmp_path, state_file=tmp_path / "state.json")
    login = world.digest()
    cookie = ("Cookie", header(world.page(login), "Set-Cookie").split(";")[0])
    other = world.log_in()
    log_out(world, api(world, cookie).grant)
    world.memory.save()
    world.restart()
    assert world.upgrade(cookie).status == 401
    assert world.upgrade(other).status == 200
    # The nonce is unknown by now. Were it stale, a browser would answer without asking its user.
    nonce = login[1].partition('nonce="')[2].partition('"')[0]
    again = world.page(with_nonce(nonce, 2))
    assert again.status == 401
    assert "stale" not in header(again, "WWW-Authenticate").lower()
    assert world.page(answer(again, "anna", "one")).status == 200


def test_without_a_state_file_a_restart_forgets_logouts(world: World) -> None:
    cookie = world.log_in()
    log_out(world, api(world, cookie).grant)
    world.memory.save()
    world.restart()
    assert world.upgrade(cookie).status == 200


def test_a_nonce_of_before_a_restart_is_stale_for_who_has_not_logged_out(tmp_path: Path) -> None:
    world = World(tmp_path, state_file=tmp_path / "state.json")
    nonce = nonce_of(world.page())
    world.restart()
    again = world.page(with_nonce(nonce, 1))
    assert again.status == 401
    assert "stale=true" in header(again, "WWW-Authenticate")


def test_a_new_password_ends_cookies_of_before_a_restart(world: World) -> None:
    cookie = world.log_in()
    world.restart()
    assert world.upgrade(cookie).status == 200
    world.write(anna="two")
    world.restart()
    assert world.upgrade(cookie).status == 401


def test_a_reload_keeps_the_nonces(world: World) -> None:
    nonce = nonce_of(world.page())
    assert world.page(with_nonce(nonce, 1)).status == 200
    world.reload()
    assert world.page(with_nonce(nonce, 2)).status == 200
    assert world.page(with_nonce(nonce, 2)).status == 401


def test_a_renewed_cookie_is_of_the_same_session(world: World) -> None:
    cookie = world.log_in()
    old = world.upgrade(cookie).grant
    world.wall_clock.now += 9 * 3600
    renewed = world.page(world.digest(), cookie)
    new = ("Cookie", header(renewed, "Set-Cookie").split(";")[0])
    assert old.sessions <= renewed.grant.sessions
    log_out(world, api(world, new).grant)
    assert world.gate.end_of(old, websocket=True) == LOGGED_OUT
    assert world.upgrade(cookie).status == world.upgrade(new).status == 401


def test_the_log_of_refused_logins_has_no_logout(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """fail2ban reads it: a browser that was logged out must not be blocked."""
    nonce = nonce_of(world.page())
    log_out(world, api(world, with_nonce(nonce, 1)).grant)
    caplog.set_level(logging.DEBUG)
    assert world.page(with_nonce(nonce, 2)).status == 401
    assert world.upgrade(with_nonce(nonce, 3)).status == 401
    assert "login refused" not in caplog.text


def test_the_cookie_is_of_the_prefix(world: World) -> None:
    def page(*headers: tuple[str, str]) -> Verdict:
        return world.gate.check_request(request(*headers, prefix="/amiws"))

    login = answer(page(), "anna", "one", "/amiws/")
    verdict = page(login)
    assert verdict.status == 200
    assert "; Path=/amiws/;" in header(verdict, "Set-Cookie")
    assert "; Path=/amiws/;" in log_out(world, verdict.grant, prefix="/amiws")


# Later


def test_a_changed_password_and_a_removed_user(world: World) -> None:
    anna, bob = world.upgrade(world.log_in()).grant, world.upgrade(world.log_in("bob", "two")).grant
    world.write(anna="new", bob="two")
    assert world.gate.end_of(anna, websocket=True) == LOGIN_GONE
    assert world.gate.end_of(bob, websocket=True) is None
    world.write(anna="one")
    assert world.gate.end_of(anna, websocket=True) is None
    assert world.gate.end_of(bob, websocket=True) == LOGIN_GONE


def test_another_realm_ends_all(world: World) -> None:
    grant = world.upgrade(world.log_in()).grant
    world.settings = world.settings.model_copy(update={"auth_domain": "elsewhere"})
    world.reload()
    assert world.gate.end_of(grant, websocket=True) == LOGIN_GONE


# Proxies


@pytest.fixture
def behind(tmp_path: Path) -> World:
    return World(tmp_path, **BY_PROXY)


def all_ways(world: World, *headers: tuple[str, str], **more: Any) -> list[Verdict]:
    asked = request(*headers, **more)
    return [
        world.gate.check_request(asked),
        world.gate.check_upgrade(asked),
        api(world, *headers, **more),
    ]


def test_the_user_whom_a_proxy_names(behind: World) -> None:
    for verdict in all_ways(behind, ("Remote-User", "anna"), proxy=PROXY_ADDRESS):
        assert verdict.status == 200
        assert (verdict.user, verdict.grant.kind) == ("anna", PROXY)
        assert not any(name == "Set-Cookie" for name, _ in verdict.headers)


def test_nobody_else_names_a_user(behind: World) -> None:
    for verdict in all_ways(behind, ("Remote-User", "anna")):
        assert (verdict.status, verdict.user) == (403, None)
        assert b"auth_header" in verdict.body


@pytest.mark.parametrize("headers", [[], [("Remote-User", "")], [("Remote-User", "(null)")]])
def test_a_proxy_without_a_user(behind: World, headers: list[tuple[str, str]]) -> None:
    for verdict in all_ways(behind, *headers, proxy=PROXY_ADDRESS):
        assert verdict.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        [("Remote-User", "anna"), ("Remote-User", "anna")],
        [("Remote-User", "anna"), ("remote-user", "bob")],
        [("Remote-User", "token:crm")],
        [("Remote-User", "a\x85b")],
        [("Remote-User", "a\xe2\x80\xa8b")],  # U+2028 in UTF-8
        [("Remote-User", "a\xc2\x85b")],  # U+0085 in UTF-8
        [("Remote-User", "J\xfcrgen")],  # no UTF-8
        [("Remote-User", "x" * 256)],
    ],
)
def test_names_that_are_none(
    tmp_path: Path, headers: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """They are refused also where there is another way to log in."""
    for world in (
        World(tmp_path, **BY_PROXY),
        World(tmp_path, auth_header="Remote-User", trusted_proxies="10.0.0.1"),
    ):
        for verdict in all_ways(world, *headers, proxy=PROXY_ADDRESS):
            assert (verdict.status, verdict.user) == (403, None)
    assert all("\x85" not in record.getMessage() for record in caplog.records)
    assert "Remote-User" in caplog.text


def test_names_in_utf_8(behind: World) -> None:
    name = "Jürgen Groß, EMEA".encode().decode("latin-1")
    for verdict in all_ways(behind, ("Remote-User", name), proxy=PROXY_ADDRESS):
        assert verdict.user == "Jürgen Groß, EMEA"


def test_beside_auth_file(tmp_path: Path) -> None:
    world = World(tmp_path, auth_header="Remote-User", trusted_proxies="10.0.0.1")
    assert api(world, ("Remote-User", "carl"), proxy=PROXY_ADDRESS).user == "carl"
    assert api(world, ("Remote-User", "carl")).status == 401
    assert api(world, proxy=PROXY_ADDRESS).status == 401
    assert world.page(world.digest(), ("Remote-User", "carl")).user == "anna"


def test_another_web_site_is_refused_behind_a_proxy_too(behind: World) -> None:
    user = ("Remote-User", "anna")
    foreign = api(behind, user, ("Origin", "https://evil.example"), proxy=PROXY_ADDRESS)
    assert foreign.status == 403
    sent = api(behind, user, ("Sec-Fetch-Site", "cross-site"), proxy=PROXY_ADDRESS)
    assert sent.status == 403


def test_the_login_of_a_proxy_holds_while_it_is_trusted(behind: World) -> None:
    grant = api(behind, ("Remote-User", "anna"), proxy=PROXY_ADDRESS).grant
    assert behind.gate.end_of(grant, websocket=True) is None
    for changes in (
        {"auth_header": "X-User"},
        {"trusted_proxies": ()},
        {"auth_header": None},
    ):
        before = behind.settings
        behind.settings = before.model_copy(update=changes)
        behind.reload()
        assert behind.gate.end_of(grant, websocket=True) == LOGIN_GONE, changes
        behind.settings = before


def test_what_a_proxy_says_is_told(behind: World) -> None:
    told: list[tuple[str, str | None, str, str]] = []
    behind.gate = Gate(behind.settings, told=lambda *one: told.append(one), clock=behind.clock)
    behind.gate.check_upgrade(request(("Remote-User", "anna"), proxy=PROXY_ADDRESS))
    behind.gate.check_upgrade(request(("Remote-User", "to:ken"), proxy=PROXY_ADDRESS))
    behind.gate.check_upgrade(request(("Remote-User", "anna")))  # not from a proxy
    assert [(user, how, bool(refused)) for _, user, how, refused in told] == [
        ("anna", PROXY, False),
        (None, PROXY, True),
    ]
