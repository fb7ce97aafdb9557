"""What the gate lets in, what it refuses, and what it then says."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from requests.auth import HTTPDigestAuth
from requests.utils import parse_dict_header

from amiws_gevent.config import Settings
from amiws_gevent.web.digest import NONCE_LIFETIME
from amiws_gevent.web.gate import MIGRATION, MOST_NAMES, NAMES, Gate, Headers, RequestInfo, Verdict
from amiws_gevent.web.login_throttle import (
    FAILURE_TIME,
    LIMIT,
    OF_ALL_USERS,
    PASSWORD,
)
from amiws_gevent.web.logins import LoginMemory
from amiws_gevent.web.tokens import hash_of, make_token
from tests.support.clock import Clock

REALM = "call centre"
HOST = {"name": "a", "host": "127.0.0.1", "username": "u", "secret": "s"}


class World:
    """A gate with its clocks, its htdigest file, and a way to ask it."""

    def __init__(self, tmp_path: Path, **changes: Any) -> None:
        self.path = tmp_path / "htdigest"
        self.write(anna="one", bob="two")
        values: dict[str, Any] = {
            "web_root": tmp_path,
            "auth_domain": REALM,
            "auth_file": self.path,
            "amihosts": [HOST],
            **changes,
        }
        self.clock = Clock(1000.0)
        self.wall_clock = Clock(1_700_000_000.0)
        self.settings = Settings.model_validate(
            {key: value for key, value in values.items() if value is not None}
        )
        self.restart()

    def restart(self) -> None:
        self.memory = LoginMemory(clock=self.clock, wall_clock=self.wall_clock)
        self.memory.configure(self.settings)
        self.failed = self.memory.throttle
        self.reload()

    def reload(self) -> None:
        self.gate = Gate(
            self.settings,
            memory=self.memory,
            clock=self.clock,
            wall_clock=self.wall_clock,
        )

    def write(self, **passwords: str) -> None:
        lines = []
        for user, password in passwords.items():
            ha1 = hashlib.md5(f"{user}:{REALM}:{password}".encode()).hexdigest()
            lines.append(f"{user}:{REALM}:{ha1}\n")
        self.path.write_text("".join(lines))

    def page(self, *headers: tuple[str, str], **more: Any) -> Verdict:
        return self.gate.check_request(request(*headers, **more))

    def upgrade(self, *headers: tuple[str, str], **more: Any) -> Verdict:
        return self.gate.check_upgrade(request(*headers, **more))

    def digest(self, user: str = "anna", password: str = "one") -> tuple[str, str]:
        return answer(self.page(), user, password)

    def log_in(self, user: str = "anna", password: str = "one") -> tuple[str, str]:
        """The cookie of a login on a page, as a browser sends it back."""
        verdict = self.page(self.digest(user, password))
        assert verdict.status == 200
        return ("Cookie", header(verdict, "Set-Cookie").split(";")[0])


def request(
    *headers: tuple[str, str],
    scheme: Literal["http", "https"] = "http",
    target: str = "/",
    host: str = "pbx:8000",
    address: str = "10.0.0.9",
) -> RequestInfo:
    return RequestInfo("GET", target, Headers([("Host", host), *headers]), scheme, address)


def header(verdict: Verdict, name: str) -> str:
    (value,) = [value for key, value in verdict.headers if key == name]
    return value


def answer(verdict: Verdict, user: str, password: str, target: str = "/") -> tuple[str, str]:
    """The answer of requests to a challenge."""
    assert verdict.status == 401
    challenge = header(verdict, "WWW-Authenticate").removeprefix("Digest ")
    auth = HTTPDigestAuth(user, password)
    auth.init_per_thread_state()
    auth._thread_local.chal = parse_dict_header(challenge)  # type: ignore[attr-defined]
    value = auth.build_digest_header("GET", f"http://pbx:8000{target}")  # type: ignore[no-untyped-call]
    assert value is not None
    return ("Authorization", value.encode().decode("latin-1"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name == "amiws_gevent.web.gate"
    ]


# The headers of a request


def test_headers_are_case_blind_and_keep_repeats() -> None:
    headers = Headers([("Host", " a "), ("X-Y", "1"), ("x-y", "2")])
    assert headers["HOST"] == "a"
    assert headers.get("x-Y") == "1, 2"
    assert headers.getall("X-y") == ["1", "2"]
    assert headers.getall("none") == []
    assert headers.get("none") is None
    assert "host" in headers
    assert 1 not in headers
    assert list(headers) == ["host", "x-y"]
    assert len(headers) == 2


# Without auth_file


def test_without_auth_file_everyone_comes_in(tmp_path: Path) -> None:
    world = World(tmp_path, auth_file=None, auth_domain=None)
    assert world.page() == Verdict(200)
    assert world.upgrade() == Verdict(200)
    assert world.page(("Authorization", "Digest nonsense")) == Verdict(200)


def test_without_auth_file_origins_are_checked_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, auth_file=None, auth_domain=None)
    assert world.upgrade(("Origin", "http://evil.example")).status == 403
    assert world.upgrade(("Origin", "http://pbx:8000")).status == 200


# Pages


def test_a_page_asks_for_the_login(world: World, caplog: pytest.LogCaptureFixture) -> None:
    verdict = world.page()
    assert verdict.status == 401
    assert verdict.user is None
    challenge = header(verdict, "WWW-Authenticate")
    assert challenge.startswith(f'Digest realm="{REALM}", qop="auth", algorithm=MD5, nonce="')
    assert "stale" not in challenge
    assert header(verdict, "Content-Type") == "text/plain; charset=utf-8"
    assert header(verdict, "Cache-Control") == "no-store"
    assert warnings(caplog) == []


def test_a_right_login_sets_the_cookie(world: World) -> None:
    verdict = world.page(world.digest())
    assert (verdict.status, verdict.user) == (200, "anna")
    cookie = header(verdict, "Set-Cookie")
    assert cookie.startswith("amiws_session_8000=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie


def test_by_tls_the_cookie_is_secure(world: World) -> None:
    verdict = world.page(world.digest(), scheme="https")
    assert header(verdict, "Set-Cookie").endswith("; Secure")


def test_a_cookie_is_renewed_in_the_second_half_of_its_life(world: World) -> None:
    cookie = world.log_in()
    assert world.page(cookie, world.digest()).headers == ()
    world.wall_clock.now += world.settings.session_lifetime / 2 + 2
    assert header(world.page(cookie, world.digest()), "Set-Cookie")


def test_the_cookie_of_another_user_is_replaced(world: World) -> None:
    cookie = world.log_in("anna", "one")
    verdict = world.page(cookie, world.digest("bob", "two"))
    assert verdict.user == "bob"
    assert header(verdict, "Set-Cookie")


def test_the_cookie_opens_no_page(world: World) -> None:
    assert world.page(world.log_in()).status == 401


def test_a_page_takes_any_origin(world: World) -> None:
    assert world.page(("Origin", "http://evil.example"), world.digest()).status == 200


@pytest.mark.parametrize(("user", "password"), [("anna", "wrong"), ("eve", "one")])
def test_a_wrong_login(
    world: World, user: str, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    verdict = world.page(world.digest(user, password))
    assert verdict.status == 401
    assert header(verdict, "WWW-Authenticate").startswith("Digest ")
    (line,) = warnings(caplog)
    assert "10.0.0.9" in line
    assert f'"{user}"' in line
    assert "wrong" not in line.replace("wrong password", "")


def test_an_answer_tells_nothing_about_which_users_there_are(world: World) -> None:
    for check in (world.page, world.upgrade):
        wrong = check(world.digest("anna", "wrong"))
        unknown = check(world.digest("eve", "wrong"))
        assert wrong.body == unknown.body
        assert wrong.status == unknown.status == 401


def test_two_logins_in_one_request_are_refused(world: World) -> None:
    assert world.page(world.digest(), world.digest()).status == 401


def test_a_stale_nonce_asks_again_without_a_word(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    login = world.digest()
    world.clock.now += NONCE_LIFETIME + 1
    verdict = world.page(login)
    assert verdict.status == 401
    assert header(verdict, "WWW-Authenticate").endswith(", stale=true")
    assert warnings(caplog) == []
    assert world.page(answer(verdict, "anna", "one")).user == "anna"


def test_a_restart_asks_no_browser_user_again(world: World) -> None:
    login = world.digest()
    world.restart()
    verdict = world.page(login)
    assert header(verdict, "WWW-Authenticate").endswith(", stale=true")


def test_a_replay_is_refused(world: World) -> None:
    login = world.digest()
    assert world.page(login).status == 200
    assert world.page(login).status == 401
    assert world.upgrade(login).status == 401


def test_a_changed_password_counts_at_once(world: World) -> None:
    cookie = world.log_in()
    world.write(anna="changed", bob="two")
    assert world.page(world.digest("anna", "one")).status == 401
    assert world.upgrade(cookie).status == 401
    assert world.page(world.digest("anna", "changed")).status == 200


def test_a_removed_user_is_out_at_once(world: World) -> None:
    cookie = world.log_in()
    assert world.upgrade(cookie).status == 200
    world.write(bob="two")
    assert world.upgrade(cookie).status == 401
    assert world.page(world.digest("anna", "one")).status == 401


# The upgrade


def test_the_cookie_opens_the_websocket(world: World) -> None:
    assert world.upgrade(world.log_in()).user == "anna"


def test_the_cookie_outlives_a_restart(world: World) -> None:
    cookie = world.log_in()
    world.restart()
    assert world.upgrade(cookie).user == "anna"


def test_digest_opens_the_websocket(world: World) -> None:
    login = answer(world.upgrade(), "anna", "one")
    verdict = world.upgrade(login)
    assert (verdict.status, verdict.user) == (200, "anna")
    assert header(verdict, "Set-Cookie").startswith("amiws_session_8000=")


def test_digest_on_the_upgrade_is_over_its_own_target(world: World) -> None:
    login = answer(world.upgrade(target="/ws?a=%20"), "anna", "one", "/ws?a=%20")
    assert world.upgrade(login, target="/ws").status == 401
    login = answer(world.upgrade(target="/ws?a=%20"), "anna", "one", "/ws?a=%20")
    assert world.upgrade(login, target="/ws?a=%20").status == 200


def test_without_a_login_the_websocket_is_refused_and_says_why(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    verdict = world.upgrade()
    assert verdict.status == 401
    assert header(verdict, "WWW-Authenticate").startswith("Digest ")
    (line,) = warnings(caplog)
    body = verdict.body.decode()
    for text in (line, body):
        assert "auth_websocket: false" in text
        assert MIGRATION in text
        assert "amiws" in text
    assert "10.0.0.9" in line


def test_an_old_cookie_is_refused_and_says_what_to_do(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = world.log_in()
    world.wall_clock.now += world.settings.session_lifetime + 1
    verdict = world.upgrade(cookie)
    assert verdict.status == 401
    assert b"load the page again" in verdict.body
    assert "load the page again" in warnings(caplog)[0]


def test_an_old_cookie_with_a_right_login_is_replaced(world: World) -> None:
    cookie = world.log_in()
    world.wall_clock.now += world.settings.session_lifetime + 1
    assert header(world.upgrade(cookie, world.digest()), "Set-Cookie")


def test_a_stale_nonce_on_the_upgrade(world: World, caplog: pytest.LogCaptureFixture) -> None:
    login = world.digest()
    world.clock.now += NONCE_LIFETIME + 1
    verdict = world.upgrade(login)
    assert header(verdict, "WWW-Authenticate").endswith(", stale=true")
    assert warnings(caplog) == []


def test_auth_websocket_false_leaves_it_open(tmp_path: Path) -> None:
    world = World(tmp_path, auth_websocket=False)
    assert world.upgrade() == Verdict(200)
    assert world.upgrade(("Cookie", "amiws_session_8000=junk")) == Verdict(200)
    assert world.upgrade(world.log_in()).user == "anna"
    assert world.upgrade(("Origin", "http://evil.example")).status == 403
    assert world.page().status == 401


def test_a_foreign_origin_is_refused_and_says_what_to_add(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    verdict = world.upgrade(("Origin", "https://wall.example:8443"), world.log_in())
    assert verdict.status == 403
    assert "WWW-Authenticate" not in dict(verdict.headers)
    (line,) = warnings(caplog)
    body = verdict.body.decode()
    for text in (line, body):
        assert 'allowed_origins: ["https://wall.example:8443"]' in text
        assert MIGRATION in text
        assert "amiws" in text
    assert "10.0.0.9" in line


@pytest.mark.parametrize(
    ("origin", "entry"),
    [
        ("https://wall.example", "https://wall.example"),
        ("HTTPS://WALL.example:443", "https://wall.example"),
        ("http://[0::1]:9", "http://[::1]:9"),
        ("https://pbx:8000", "https://pbx:8000"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ("null", "*"),
        ("file://", "*"),
        ("\xff<script>", "*"),
        ("http://a, http://b", "*"),
    ],
)
def test_what_a_refusal_names_is_taken_and_helps(tmp_path: Path, origin: str, entry: str) -> None:
    body = World(tmp_path).upgrade(("Origin", origin)).body.decode()
    setting = next(line.strip() for line in body.splitlines() if line.startswith("    "))
    assert setting == f"allowed_origins: [{json.dumps(entry)}]"
    world = World(tmp_path, allowed_origins=json.loads(setting.partition(": ")[2]))
    assert world.upgrade(("Origin", origin), world.log_in()).status == 200


def test_the_own_origin_still_needs_a_login(world: World) -> None:
    assert world.upgrade(("Origin", "http://pbx:8000")).status == 401
    assert world.upgrade(("Origin", "http://pbx:8000"), world.log_in()).status == 200
    assert world.upgrade(("Origin", "http://pbx:8000"), scheme="https").status == 403


def test_two_origins_or_hosts_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path, allowed_origins="*")
    own = ("Origin", "http://pbx:8000")
    assert world.upgrade(own, own, world.log_in()).status == 400
    assert world.upgrade(("Host", "pbx:8000"), world.log_in()).status == 400


@pytest.mark.parametrize("section", [MIGRATION, NAMES])
def test_the_section_that_refusals_name_is_there(section: str) -> None:
    name, _, heading = section.partition(", ")
    page = Path(__file__).parents[2] / name
    assert f"## {json.loads(heading)}\n" in page.read_text(encoding="utf-8")


# Names of the server

REBOUND = {"host": "evil.example:8000"}
OF_REBOUND = ("Origin", "http://evil.example:8000")


def open_world(tmp_path: Path, **changes: Any) -> World:
    """One without a login."""
    return World(tmp_path, auth_file=None, auth_domain=None, **changes)


def test_without_allowed_hosts_a_name_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = open_world(tmp_path)
    for _ in range(3):
        assert world.upgrade(OF_REBOUND, **REBOUND).status == 200
        world.clock.now += 1
    (line,) = warnings(caplog)
    assert 'host="evil.example"' in line
    assert "address=10.0.0.9" in line
    assert 'allowed_hosts: ["evil.example"]' in line
    assert NAMES in line
    assert world.upgrade(("Origin", "http://b.example"), host="b.example").status == 200
    assert len(warnings(caplog)) == 2


def test_names_do_not_fill_the_log_or_the_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = open_world(tmp_path)
    for number in range(2 * MOST_NAMES):
        host = f"n{number}.example"
        world.upgrade(("Origin", f"http://{host}"), host=host)
    assert len(warnings(caplog)) == 1
    for number in range(2 * MOST_NAMES):
        world.clock.now += 1
        host = f"n{number}.example"
        world.upgrade(("Origin", f"http://{host}"), host=host)
    assert len(world.gate._told_hosts) <= MOST_NAMES


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {"scheme": "https"}),
        ({"allowed_hosts": "evil.example"}, {}),
        ({"allowed_hosts": "*"}, {}),
        ({"allowed_origins": "http://evil.example:8000"}, {}),
        ({"allowed_origins": "*"}, {}),
    ],
    ids=["TLS", "name", "all names", "origin", "all origins"],
)
def test_names_that_are_not_warned_of(
    tmp_path: Path, changes: dict[str, Any], more: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world = open_world(tmp_path, **changes)
    origin = f"{more.get('scheme', 'http')}://evil.example:8000"
    assert world.upgrade(("Origin", origin), **REBOUND, **more).status == 200
    assert warnings(caplog) == []


def test_with_a_login_no_name_is_warned_of(world: World, caplog: pytest.LogCaptureFixture) -> None:
    cookie = world.log_in()
    assert world.upgrade(OF_REBOUND, cookie, **REBOUND).status == 200
    assert warnings(caplog) == []


def test_a_login_that_is_not_asked_for_protects_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, auth_websocket=False)
    assert world.upgrade(OF_REBOUND, **REBOUND).status == 200
    assert "DNS rebinding" in warnings(caplog)[0]


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000", "localhost", "pbx.local", "pbx"])
def test_names_that_no_web_site_has_pass(
    tmp_path: Path, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    for changes in ({}, {"allowed_hosts": []}):
        world = open_world(tmp_path, **changes)
        assert world.upgrade(("Origin", f"http://{host}"), host=host).status == 200
        assert world.page(host=host).status == 200
    assert warnings(caplog) == []


def test_the_address_to_listen_on_is_a_name(tmp_path: Path) -> None:
    world = open_world(tmp_path, ws_host="pbx.example.org", allowed_hosts=[])
    assert world.page(host="pbx.example.org:8000").status == 200


@pytest.mark.parametrize("login", [False, True])
def test_a_name_that_is_not_listed_is_refused_and_says_what_to_add(
    tmp_path: Path, login: bool, caplog: pytest.LogCaptureFixture
) -> None:
    make = World if login else open_world
    for ask in ("page", "upgrade"):
        world = make(tmp_path, allowed_hosts=["pbx.example.com"])
        caplog.clear()
        verdict = getattr(world, ask)(OF_REBOUND, **REBOUND)
        assert verdict.status == 403
        assert "WWW-Authenticate" not in dict(verdict.headers)
        (line,) = warnings(caplog)
        for text in (line, verdict.body.decode()):
            assert 'allowed_hosts: ["evil.example"]' in text
            assert NAMES in text
        assert "address=10.0.0.9" in line
        assert make(tmp_path).page(**REBOUND).status == (401 if login else 200)


@pytest.mark.parametrize(
    ("host", "entry"),
    [
        ("PBX.example.com:8000", "pbx.example.com"),
        ("pbx.example.com.", "pbx.example.com"),
        ("xn--bro-hoa.example", "xn--bro-hoa.example"),
        ("\xff<script>", "*"),
        ("", "*"),
    ],
)
def test_what_a_refusal_of_a_name_names_is_taken_and_helps(
    tmp_path: Path, host: str, entry: str
) -> None:
    body = open_world(tmp_path, allowed_hosts="").page(host=host).body.decode()
    setting = next(line.strip() for line in body.splitlines() if line.startswith("    "))
    assert setting == f"allowed_hosts: [{json.dumps(entry)}]"
    world = open_world(tmp_path, allowed_hosts=json.loads(setting.partition(": ")[2]))
    assert world.page(host=host).status == 200


def test_programs_are_not_asked_for_the_name(tmp_path: Path) -> None:
    world = open_world(tmp_path, allowed_hosts=[])
    assert world.upgrade(**REBOUND).status == 200
    request_without_host = RequestInfo("GET", "/", Headers(), "http", "10.0.0.9")
    assert world.gate.check_request(request_without_host).status == 200


def test_an_allowed_origin_is_not_asked_for_the_name(tmp_path: Path) -> None:
    """A proxy that changes Host has its own name in allowed_origins."""
    world = open_world(tmp_path, allowed_hosts=[], allowed_origins="https://pbx.example.com")
    assert world.upgrade(("Origin", "https://pbx.example.com"), **REBOUND).status == 200
    assert world.upgrade(OF_REBOUND, **REBOUND).status == 403


# Guessed passwords


def guess(world: World, times: int, user: str = "anna", **more: Any) -> None:
    for _ in range(times):
        assert world.page(world.digest(user, "guess"), **more).status == 401


def test_after_too_many_guesses_right_and_wrong_are_429(world: World) -> None:
    guess(world, world.settings.limits.failed_logins)
    for password in ("one", "guess"):
        for check in (world.page, world.upgrade):
            verdict = check(world.digest("anna", password))
            assert verdict.status == 429
            assert header(verdict, "Retry-After") == "10"
            assert "WWW-Authenticate" not in dict(verdict.headers)
            assert b"Try again in 10 s" in verdict.body
    assert world.failed.refused == {PASSWORD: world.settings.limits.failed_logins, LIMIT: 4}
    world.clock.now += FAILURE_TIME
    assert world.page(world.digest("anna", "one")).status == 200


def test_guesses_on_the_upgrade_count_too(world: World) -> None:
    for _ in range(world.settings.limits.failed_logins):
        assert world.upgrade(world.digest("anna", "guess")).status == 401
    assert world.page(world.digest("anna", "one")).status == 429


def test_a_name_that_no_user_has_counts_alike(world: World) -> None:
    most = world.settings.limits.failed_logins
    guess(world, most, "anna")
    guess(world, most, "nobody")
    known = world.page(world.digest("anna", "guess"))
    unknown = world.page(world.digest("nobody", "guess"))
    assert known == unknown
    assert known.status == 429


def test_a_reload_does_not_let_a_guesser_begin_anew(world: World) -> None:
    guess(world, world.settings.limits.failed_logins)
    world.reload()
    assert world.page(world.digest("anna", "one")).status == 429


def test_guesses_stop_nobody_else(world: World) -> None:
    cookie = world.log_in("anna", "one")
    guess(world, world.settings.limits.failed_logins)
    assert world.page(world.digest("bob", "two")).status == 200
    assert world.page(world.digest("anna", "one"), address="10.0.0.10").status == 200
    assert world.page(cookie, world.digest("anna", "one")).status == 200
    assert world.upgrade(cookie).status == 200
    assert world.page().status == 401


def test_the_session_of_one_user_is_no_pass_for_another(world: World) -> None:
    cookie = world.log_in("bob", "two")
    guess(world, world.settings.limits.failed_logins)
    assert world.page(cookie, world.digest("anna", "one")).status == 429


def test_all_names_together(tmp_path: Path) -> None:
    world = World(tmp_path, limits={"failed_logins": 2})
    for number in range(2 * OF_ALL_USERS):
        guess(world, 1, f"user {number}")
    verdict = world.page(world.digest("anna", "one"))
    assert verdict.status == 429
    assert header(verdict, "Retry-After") == "1"


def test_what_is_no_guess_does_not_count(world: World) -> None:
    stale = world.digest("anna", "one")
    world.clock.now += NONCE_LIFETIME + 1
    for _ in range(3 * world.settings.limits.failed_logins):
        assert world.page().status == 401
        assert world.page(stale).status == 401
        assert world.page(("Authorization", "Digest nonsense")).status == 401
        assert world.page(("Authorization", "Basic YTpi")).status == 401
        assert world.upgrade(("Cookie", "amiws_session_8000=junk")).status == 401
    assert world.failed.refused == {}
    assert world.page(world.digest("anna", "one")).status == 200


def test_wallboards_with_the_password_from_before_lock_nobody_out(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    assert world.page(world.digest("anna", "one")).status == 200
    world.write(anna="changed")
    for _ in range(3 * world.settings.limits.failed_logins):
        assert world.page(world.digest("anna", "one")).status == 401
        assert world.upgrade(world.digest("bob", "two")).status == 401
    assert world.failed.refused == {}
    assert world.page(world.digest("anna", "changed")).status == 200
    (line,) = warnings(caplog)
    assert line.startswith("login with a former password: address=10.0.0.9 ")
    assert '"anna"' in line


def test_a_reload_in_the_moment_of_a_writer_takes_nothing_from_anybody(world: World) -> None:
    """A writer empties the file, and writes it: a reload may look just between."""
    world.page(world.digest("anna", "one"))
    world.write(anna="changed", bob="two")
    cookie = world.log_in("anna", "changed")
    opened = world.upgrade(cookie)
    world.path.write_text("")
    world.reload()
    assert world.gate.end_of(opened.grant, websocket=True) is None
    assert world.upgrade(cookie).status == 200
    for _ in range(3 * world.settings.limits.failed_logins):
        assert world.page(world.digest("anna", "one")).status == 401
    world.write(anna="changed", bob="two")
    world.page(world.digest("anna", "one"))
    assert world.failed.refused == {}
    assert world.page(world.digest("anna", "changed")).status == 200


def test_a_reload_to_another_file_has_the_users_of_that(world: World) -> None:
    world.log_in()
    other = world.path.with_name("other")
    other.write_text("")
    world.settings = world.settings.model_copy(update={"auth_file": other})
    world.reload()
    assert world.page(world.digest("anna", "one")).status == 401


# The log


@pytest.mark.parametrize("ask", ["page", "upgrade"])
@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        ("anna", "guess", "wrong password"),
        ("e've: x", "guess", "no such user"),
        ("bob", "two", "too many wrong passwords"),
    ],
)
def test_the_line_that_fail2ban_reads(
    world: World,
    ask: str,
    user: str,
    password: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    guess(world, world.settings.limits.failed_logins, "bob")
    world.clock.now += 1
    caplog.clear()
    getattr(world, ask)(world.digest(user, password))
    (line,) = [re.sub(r" \(\d+ more like it .*", "", text) for text in warnings(caplog)]
    line, _, more = line.partition(";")
    assert line == f'login refused: address=10.0.0.9 user="{user}": {reason}'
    tells = ask == "upgrade" and reason != "too many wrong passwords"
    assert ("auth_websocket: false" in more) is tells


def test_a_flood_makes_one_line_a_second(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        world.upgrade(("Origin", "http://evil.example"))
        world.upgrade()
        world.page(world.digest("anna", "guess"))
    assert len(warnings(caplog)) == 3
    caplog.clear()
    world.clock.now += 1
    world.upgrade(("Origin", "http://evil.example"))
    (line,) = warnings(caplog)
    assert line.endswith("(49 more like it were not logged)")
    caplog.clear()
    world.clock.now += 1
    world.upgrade(("Origin", "http://evil.example"))
    assert "more like it" not in warnings(caplog)[0]


def test_nothing_of_a_client_reaches_headers_or_the_log_raw(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    bad = "x\r\nSet-Cookie: a=b\x1b[2J\xff" + "y" * 5000
    world.upgrade(("Origin", bad))
    world.upgrade(("Authorization", f'Digest username="{bad}"'))
    world.page(("Authorization", f'Digest username="{bad}"'))
    login = world.digest("eve\u2028x", "one")
    verdicts = [world.page(login), world.upgrade(("Origin", bad))]
    for line in warnings(caplog):
        assert line.isprintable()
        assert line.isascii()
        assert len(line) < 1000
    for verdict in verdicts:
        for name, value in verdict.headers:
            assert (name + value).isprintable()
        assert b"\x1b" not in verdict.body
        assert b"\r" not in verdict.body


def test_no_password_and_no_key_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    cookie = world.log_in()
    world.page(world.digest("anna", "guess"))
    world.upgrade(cookie)
    keys = [line.rsplit(":", 1)[1] for line in world.path.read_text().split()[1::2]]
    for secret in (*keys, cookie[1], "guess"):
        assert secret not in caplog.text


def test_logins_are_told_once_each(tmp_path: Path) -> None:
    told: list[tuple[str, str | None, str, str]] = []
    token = make_token()
    world = World(tmp_path, api_tokens=[{"name": "wall", "hash": hash_of(token)}])
    world.gate = Gate(world.settings, told=lambda *one: told.append(one), clock=world.clock)
    world.page()  # is asked for a login
    world.page(world.digest())
    world.page(world.digest(password="wrong"))
    world.upgrade(("Authorization", f"Bearer {token}"))
    world.upgrade(("Authorization", "Bearer nobody's"))
    assert [(user, how, bool(refused)) for _, user, how, refused in told] == [
        ("anna", "digest", False),
        ("anna", "digest", True),
        ("token:wall", "token", False),
        ("token", "token", True),
    ]
    assert {address for address, *_ in told} == {"10.0.0.9"}
