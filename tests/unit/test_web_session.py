"""The session cookie: whose it is, how long, and what ends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.web.session import MAX_CANDIDATES, SessionCookies
from tests.support.clock import Clock

HA1 = b"939e7578ed9e3c518a452acee763bce9"
OTHER_HA1 = b"00000000000000000000000000000000"
LIFETIME = 3600.0
ID = b"12345678"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.5)


@pytest.fixture
def cookies(clock: Clock) -> SessionCookies:
    return SessionCookies(8000, LIFETIME, clock=clock)


def users(user: str) -> bytes | None:
    return {"anna": HA1, "bob": OTHER_HA1}.get(user)


def pair(set_cookie: str) -> str:
    return set_cookie.split(";")[0]


def test_the_header(cookies: SessionCookies) -> None:
    name_and_value, *attributes = cookies.issue("anna", HA1, ID, secure=False).split("; ")
    assert name_and_value.startswith("amiws_session_8000=")
    assert attributes == ["Max-Age=3600", "Path=/", "HttpOnly", "SameSite=Strict"]
    assert cookies.issue("anna", HA1, ID, secure=True).endswith("; Secure")


def test_a_good_cookie(cookies: SessionCookies, clock: Clock) -> None:
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    clock.now += 100
    session = cookies.check([sent], users)
    assert session is not None
    assert session.user == "anna"
    assert 100 <= session.age < 102


def test_it_outlives_a_restart(cookies: SessionCookies, clock: Clock) -> None:
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    session = SessionCookies(8000, LIFETIME, clock=clock).check([sent], users)
    assert session is not None
    assert session.user == "anna"


def test_it_ends_with_its_lifetime(cookies: SessionCookies, clock: Clock) -> None:
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    clock.now += LIFETIME
    assert cookies.check([sent], users)
    clock.now += 1
    assert cookies.check([sent], users) is None


def test_it_ends_with_the_password(cookies: SessionCookies) -> None:
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    assert cookies.check([sent], lambda _user: OTHER_HA1) is None


def test_it_ends_with_the_user(cookies: SessionCookies) -> None:
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    assert cookies.check([sent], lambda _user: None) is None


def test_it_is_of_one_port(cookies: SessionCookies, clock: Clock) -> None:
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    other = SessionCookies(8001, LIFETIME, clock=clock)
    assert other.check([sent], users) is None
    assert other.check([sent.replace("8000", "8001")], users) is None


def test_a_cookie_of_tomorrow_is_not_good(cookies: SessionCookies, clock: Clock) -> None:
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    clock.now -= 86400
    assert cookies.check([sent], users) is None


def test_no_cookie(cookies: SessionCookies) -> None:
    assert cookies.check([], users) is None
    assert cookies.check(["", ";;", "other=1; amiws_session_80001=x"], users) is None
    assert cookies.sent(["other=1"]) == []


def test_every_change_of_a_byte_is_seen(cookies: SessionCookies) -> None:
    name, _, value = pair(cookies.issue("anna", HA1, ID, secure=False)).partition("=")
    # The last character of base64 has bits that mean nothing.
    for position, character in enumerate(value[:-1]):
        other = "A" if character != "A" else "B"
        changed = value[:position] + other + value[position + 1 :]
        assert cookies.check([f"{name}={changed}"], users) is None


def test_the_name_of_another_user_needs_that_users_key(cookies: SessionCookies) -> None:
    of_anna = pair(cookies.issue("anna", HA1, ID, secure=False))
    of_bob = pair(cookies.issue("bob", OTHER_HA1, ID, secure=False))
    mixed = of_bob.split(".")[0] + "." + of_anna.split(".", 1)[1]
    assert cookies.check([mixed], users) is None


def test_among_other_cookies(cookies: SessionCookies) -> None:
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    headers = ["a=1;  b=2", f"c=3; amiws_session_8000=junk;\t{sent} ; d=4"]
    session = cookies.check(headers, users)
    assert session is not None
    assert session.user == "anna"


def test_only_some_of_many_are_tried(cookies: SessionCookies) -> None:
    junk = "; ".join(["amiws_session_8000=junk"] * MAX_CANDIDATES)
    sent = pair(cookies.issue("anna", HA1, ID, secure=False))
    assert cookies.check([f"{junk}; {sent}"], users) is None


@pytest.mark.parametrize(
    "value", ["", ".", "..", "...", "YW5uYQ", "\xff.a.b", "gYGB.a.b", "=.=.=", "a" * 30000]
)
def test_junk(cookies: SessionCookies, value: str) -> None:
    assert cookies.check([f"amiws_session_8000={value}"], users) is None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100))
def test_any_user_name(user: str) -> None:
    cookies = SessionCookies(1, LIFETIME)
    header = cookies.issue(user, HA1, ID, secure=True)
    assert header.isascii()
    assert header.isprintable()
    assert header.count(";") == 5
    session = cookies.check([pair(header)], {user: HA1}.get)
    assert session is not None
    assert session.user == user


def test_the_session_of_a_cookie(cookies: SessionCookies, clock: Clock) -> None:
    one = pair(cookies.issue("anna", HA1, ID, secure=False))
    other = pair(cookies.issue("anna", HA1, b"87654321", secure=False))
    assert [session.id for session in cookies.all([f"{one}; {other}"], users)] == [ID, b"87654321"]
    ended = SessionCookies(
        8000, LIFETIME, clock=clock, has_ended=lambda user, each, _: (user, each) == ("anna", ID)
    )
    assert [session.id for session in ended.all([one, other], users)] == [b"87654321"]
    assert ended.check([one], users) is None


def test_a_cookie_without_a_session(cookies: SessionCookies) -> None:
    """Of a version before there were any: nothing could end it."""
    value = cookies._signer(HA1).sign(b"YW5uYQ").decode()
    assert cookies.check([f"{cookies.name}={value}"], users) is None


def test_below_a_path_and_gone(cookies: SessionCookies) -> None:
    header = cookies.issue("anna", HA1, ID, secure=False, prefix="/amiws")
    assert "; Path=/amiws/; " in header
    gone = cookies.expire(secure=True, prefix="/amiws")
    assert gone == (
        "amiws_session_8000=; Max-Age=0; Path=/amiws/; HttpOnly; SameSite=Strict; Secure"
    )
