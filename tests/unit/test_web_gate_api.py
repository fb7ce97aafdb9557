"""What the gate lets in under ``/api/``: no other web site, logins, tokens."""

from __future__ import annotations

import itertools
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.plugins.api import Headers, RequestInfo
from amiws_gevent.web.gate import Verdict
from amiws_gevent.web.login_throttle import PASSWORD
from amiws_gevent.web.tokens import hash_of, make_token
from amiws_gevent.web.verdict import LOGIN_GONE, NOBODY
from tests.unit.test_web_gate import World, answer, header

OWN = "http://pbx:8000"
LISTED = "https://board.example"
FOREIGN = "https://evil.example"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
TOKEN = make_token()
API_TOKENS = [{"name": "crm", "hash": hash_of(TOKEN)}]
OPEN: dict[str, Any] = {"auth_domain": None, "auth_file": None}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def asked(
    world: World, *headers: tuple[str, str], method: str = "GET", host: str = "pbx:8000"
) -> Verdict:
    return world.gate.check_api(
        RequestInfo(method, "/", Headers([("Host", host), *headers]), "http", "10.0.0.9")
    )


def values(verdict: Verdict, name: str) -> list[str]:
    return [value for key, value in verdict.headers if key == name]


def bearer(token: str = TOKEN) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


# Other web sites


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", FOREIGN)],
        [("Origin", "null")],
        [("Origin", "http://pbx")],
        [("Origin", "https://pbx:8000")],
        [("Origin", FOREIGN), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
        [("Sec-Fetch-Site", "something new")],
        [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")],
        [("Sec-Fetch-Site", "cross-site"), ("Origin", OWN)],
    ],
)
@pytest.mark.parametrize("login", [True, False])
def test_another_site_gets_nothing_by_any_method(
    tmp_path: Path, method: str, headers: list[tuple[str, str]], login: bool
) -> None:
    world = World(tmp_path, api_tokens=API_TOKENS, **({} if login else OPEN))
    credentials = [bearer(), world.digest()] if login else [bearer()]
    for credential in credentials:
        verdict = asked(world, credential, *headers, method=method)
        assert verdict.status == 403
        assert values(verdict, "Access-Control-Allow-Origin") == []
        assert values(verdict, "Vary") == ["Origin"]


def test_a_cached_login_does_not_help_another_site(world: World) -> None:
    cookie = world.log_in()
    assert asked(world, cookie).status == 200
    assert asked(world, cookie, ("Sec-Fetch-Site", "cross-site")).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Sec-Fetch-Site", "none")],
        [("Sec-Fetch-Site", "same-origin")],
        [("Origin", OWN), ("Sec-Fetch-Site", "same-origin")],
        [("Origin", LISTED), ("Sec-Fetch-Site", "cross-site")],
    ],
)
def test_who_may_ask(tmp_path: Path, headers: list[tuple[str, str]]) -> None:
    world = World(tmp_path, allowed_origins=[LISTED], **OPEN)
    for method in ("GET", "POST"):
        assert asked(world, *headers, method=method).status == 200


def test_a_listed_site_must_show_its_origin(tmp_path: Path) -> None:
    """An image of such a site brings the login of the user, and no Origin."""
    world = World(tmp_path, allowed_origins=[LISTED], **OPEN)
    assert asked(world, ("Sec-Fetch-Site", "same-site")).status == 403


@pytest.mark.parametrize("name", ["Origin", "Host"])
def test_two_of_them_are_refused(tmp_path: Path, name: str) -> None:
    world = World(tmp_path, **OPEN)
    assert asked(world, ("Origin", OWN), (name, OWN)).status == 400


def test_a_host_that_is_not_listed(tmp_path: Path) -> None:
    world = World(tmp_path, allowed_hosts=["pbx.example"], **OPEN)
    assert asked(world, host="evil.example").status == 403
    assert asked(world, ("Origin", "http://evil.example"), host="evil.example").status == 403
    assert asked(world, host="pbx.example").status == 200


def test_a_doubtful_host_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, **OPEN)
    assert asked(world, ("Origin", "http://a.example"), host="a.example").status == 200
    assert 'request accepted for host="a.example"' in caplog.text


def test_a_page_by_a_doubtful_name_is_warned_of_without_an_origin(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """DNS rebinding: to the browser it is all one site, and it sends no Origin with a GET."""
    world = World(tmp_path, **OPEN)
    assert asked(world, host="a.example").status == 200
    assert caplog.text == "", "a program"
    same = ("Sec-Fetch-Site", "same-origin")
    assert asked(world, same, host="pbx.local").status == 200
    assert caplog.text == "", "a name that no web site has"
    assert asked(world, same, host="a.example").status == 200
    assert 'request accepted for host="a.example"' in caplog.text


# CORS


def preflight(world: World, origin: str) -> Verdict:
    question = (("Origin", origin), ("Access-Control-Request-Method", "POST"))
    return asked(world, *question, ("Sec-Fetch-Site", "cross-site"), method="OPTIONS")


def test_a_listed_site_may_ask_with_the_login_of_the_user(tmp_path: Path) -> None:
    world = World(tmp_path, allowed_origins=[LISTED])
    verdict = preflight(world, LISTED)
    assert (verdict.status, verdict.body) == (204, b"")
    assert header(verdict, "Access-Control-Allow-Origin") == LISTED
    assert header(verdict, "Access-Control-Allow-Credentials") == "true"
    assert header(verdict, "Access-Control-Allow-Methods") == "GET, POST"
    allowed = header(verdict, "Access-Control-Allow-Headers").split(", ")
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(allowed)
    refused = asked(world, ("Origin", LISTED))
    assert refused.status == 401, "the question alone opens nothing"
    assert header(refused, "Access-Control-Allow-Origin") == LISTED, "so that it sees the 401"


def test_a_star_allows_nobody_to_use_the_login_of_the_user(tmp_path: Path) -> None:
    world = World(tmp_path, allowed_origins=["*", LISTED])
    for verdict in (preflight(world, FOREIGN), asked(world, ("Origin", FOREIGN), world.digest())):
        assert verdict.status in (204, 200)
        assert values(verdict, "Access-Control-Allow-Origin") == ["*"]
        assert values(verdict, "Access-Control-Allow-Credentials") == []
    assert values(preflight(world, LISTED), "Access-Control-Allow-Credentials") == ["true"]


def test_an_own_page_is_told_nothing_of_cors(world: World) -> None:
    verdict = asked(world, ("Origin", OWN))
    assert [name for name, _ in verdict.headers if name.startswith("Access-Control")] == []


def test_options_without_a_question_need_a_login(tmp_path: Path) -> None:
    world = World(tmp_path, allowed_origins=[LISTED])
    assert asked(world, ("Origin", LISTED), method="OPTIONS").status == 401


# Logins


def test_digest_and_the_cookie(world: World) -> None:
    verdict = asked(world)
    assert (verdict.status, verdict.grant) == (401, NOBODY)
    verdict = asked(world, answer(verdict, "anna", "one"))
    assert (verdict.status, verdict.user) == (200, "anna")
    cookie = ("Cookie", header(verdict, "Set-Cookie").split(";")[0])
    again = asked(world, cookie)
    assert (again.status, again.grant) == (200, verdict.grant)


def test_auth_websocket_opens_nothing_here(tmp_path: Path) -> None:
    world = World(tmp_path, auth_websocket=False)
    assert asked(world).status == 401


def test_a_wrong_password(world: World, caplog: pytest.LogCaptureFixture) -> None:
    assert asked(world, world.digest("anna", "wrong")).status == 401
    assert "login refused: address=10.0.0.9" in caplog.text
    assert asked(world, ("Authorization", "Basic YTpi")).status == 401


def test_the_log_shows_no_login(world: World) -> None:
    assert "secret" not in repr(asked(world, world.digest()))


# Tokens


def test_a_token_is_enough(tmp_path: Path) -> None:
    world = World(tmp_path, api_tokens=API_TOKENS)
    for verdict in (asked(world, bearer()), world.upgrade(bearer())):
        assert (verdict.status, verdict.user) == (200, "token:crm")
    assert world.page(bearer()).status == 401, "pages are for people"


@pytest.mark.parametrize(  # named, since the token is another in each process
    "token",
    ["", "x", TOKEN[:-1], TOKEN + " ", hash_of(TOKEN), "\xe9" * 9],
    ids=["none", "short", "cut", "blank", "its-hash", "no-ascii"],
)
def test_a_wrong_token(tmp_path: Path, token: str, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, api_tokens=API_TOKENS)
    right = token.strip() == TOKEN
    for verdict in (asked(world, bearer(token)), world.upgrade(bearer(token))):
        assert verdict.status == (200 if right else 401)
        if not right:
            assert 'error="invalid_token"' in header(verdict, "WWW-Authenticate")
    if not right:
        line = 'login refused: address=10.0.0.9 user="token": no such token'
        assert line in caplog.text
        assert world.failed.refused[PASSWORD] == 2
        assert not token or token not in caplog.text


def test_too_many_wrong_tokens(tmp_path: Path) -> None:
    world = World(tmp_path, api_tokens=API_TOKENS, limits={"failed_logins": 3})
    statuses = [asked(world, bearer(f"wrong{n}")).status for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    refused = asked(world, bearer("wrong"))
    assert int(header(refused, "Retry-After")) > 0
    assert asked(world, bearer()).status == 200, "programs behind the same address go on"
    assert asked(world, world.digest()).status == 200, "and so do users"


def test_tokens_without_a_login_close_the_api_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, api_tokens=API_TOKENS, **OPEN)
    verdict = asked(world)
    assert verdict.status == 401
    assert header(verdict, "WWW-Authenticate") == 'Bearer realm="amiws-gevent"'
    assert "api_tokens" in verdict.detail
    assert asked(world, bearer()).user == "token:crm"
    assert world.page().status == 200
    assert world.upgrade().status == 200
    assert world.upgrade(bearer("wrong")).status == 401


def test_both_ways_are_offered(tmp_path: Path) -> None:
    world = World(tmp_path, api_tokens=API_TOKENS)
    digest, token = values(asked(world), "WWW-Authenticate")
    assert digest.startswith("Digest ")
    assert token.startswith("Bearer ")


def test_without_tokens_a_bearer_means_nothing(tmp_path: Path) -> None:
    """A proxy in front may have logins of its own, which it passes on."""
    world = World(tmp_path, **OPEN)
    assert asked(world, bearer()).status == 200
    assert world.upgrade(bearer()).status == 200
    assert world.upgrade(bearer()).user is None


# What a reload changes


def test_a_login_holds_until_it_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path, api_tokens=API_TOKENS)
    people, program = asked(world, world.digest()).grant, asked(world, bearer()).grant
    for websocket in (True, False):
        assert world.gate.end_of(people, websocket=websocket) is None
        assert world.gate.end_of(program, websocket=websocket) is None
    world.write(anna="new", bob="two")
    world.settings = world.settings.model_copy(update={"api_tokens": ()})
    world.reload()
    for websocket in (True, False):
        assert world.gate.end_of(people, websocket=websocket) == LOGIN_GONE
        assert world.gate.end_of(program, websocket=websocket) == LOGIN_GONE


def test_one_who_did_not_log_in_stays_while_nobody_has_to(tmp_path: Path) -> None:
    def ends(websocket: bool, **changes: Any) -> bool:
        gate = World(tmp_path, **changes).gate
        return gate.end_of(NOBODY, websocket=websocket) is not None

    assert not ends(False, **OPEN)
    assert not ends(True, **OPEN)
    assert ends(False, api_tokens=API_TOKENS, **OPEN)
    assert not ends(True, api_tokens=API_TOKENS, **OPEN)
    assert ends(False, auth_websocket=False)
    assert not ends(True, auth_websocket=False)
    assert ends(True)
    proxy = {"auth_header": "Remote-User", "trusted_proxies": "10.0.0.9", **OPEN}
    assert ends(True, **proxy)
    assert ends(False, **proxy)


def test_the_detail_has_no_status_twice(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for verdict in itertools.chain([asked(world)], [asked(world, ("Origin", FOREIGN))]):
        assert verdict.body.decode().startswith(f"{verdict.status} {verdict.detail}")
        assert json.dumps(verdict.detail)
