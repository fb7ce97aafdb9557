"""Which origins are this server's own, and which are allowed besides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.web.origin import Origin, OriginPolicy, parse_authority, parse_origin


def allows(origin: str, host: str, scheme: str = "http", *allowed: str) -> bool:
    return OriginPolicy(allowed).allows([origin], [host], scheme)


def test_without_origin_it_is_a_program() -> None:
    assert OriginPolicy().allows([], ["pbx:8000"], "http")
    assert OriginPolicy().allows([], [], "http")


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://pbx:8000", "pbx:8000", "http"),
        ("https://pbx:8000", "pbx:8000", "https"),
        ("http://pbx", "pbx", "http"),
        ("http://pbx", "pbx:80", "http"),
        ("http://pbx:80", "pbx", "http"),
        ("https://pbx", "pbx:443", "https"),
        ("http://pbx", "pbx:", "http"),
        ("HTTP://PBX.Example", "pbx.example", "http"),
        ("http://pbx.example", "PBX.EXAMPLE.", "http"),
        ("http://pbx.example.:8000", "pbx.example:8000", "http"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "http"),
        ("http://[::1]:8000", "[::1]:8000", "http"),
        ("http://[0:0::1]:8000", "[::1]:8000", "http"),
        ("https://[FE80::A]", "[fe80::a]:443", "https"),
        ("http://xn--bro-hoa.example", "xn--bro-hoa.example", "http"),
        ("http://my_pbx:8000", "my_pbx:8000", "http"),
    ],
)
def test_its_own(origin: str, host: str, scheme: str) -> None:
    assert allows(origin, host, scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("https://pbx:8000", "pbx:8000", "http"),
        ("http://pbx:8000", "pbx:8000", "https"),
        ("http://pbx:8001", "pbx:8000", "http"),
        ("http://pbx", "pbx:8000", "http"),
        ("http://pbx", "pbx:443", "http"),
        ("http://evil.example", "pbx", "http"),
        ("http://pbx.evil.example", "pbx", "http"),
        ("http://evilpbx", "pbx", "http"),
        ("http://pbx@evil.example", "pbx", "http"),
        ("http://pbx:8000@evil.example", "pbx:8000", "http"),
        ("http://localhost:8000", "127.0.0.1:8000", "http"),
        ("http://[::1]:8000", "127.0.0.1:8000", "http"),
        ("http://pbx:8000/", "pbx:8000", "http"),
        ("http://pbx:8000, http://pbx:8000", "pbx:8000", "http"),
        ("http://pbx:8000 http://pbx:8000", "pbx:8000", "http"),
        ("ws://pbx:8000", "pbx:8000", "http"),
        ("pbx:8000", "pbx:8000", "http"),
        ("null", "pbx:8000", "http"),
        ("null", "null", "http"),
        ("", "pbx:8000", "http"),
        ("http://", "", "http"),
        ("http://:8000", ":8000", "http"),
        ("http://pbx:0", "pbx:0", "http"),
        ("http://pbx:99999", "pbx:99999", "http"),
        ("http://pbx:8o", "pbx:8o", "http"),
        ("http://[::1", "[::1", "http"),
        ("http://[zz]", "[zz]", "http"),
        ("http://[1.2.3.4]", "[1.2.3.4]", "http"),
        ("http://a..b", "a..b", "http"),
        ("http://pbx..", "pbx.", "http"),
        ("http://\xff\x00", "\xff\x00", "http"),
        ("file://", "", "http"),
    ],
)
def test_not_its_own(origin: str, host: str, scheme: str) -> None:
    assert not allows(origin, host, scheme)


def test_without_host_only_what_is_allowed() -> None:
    policy = OriginPolicy(["http://wall.example"])
    assert not policy.allows(["http://pbx"], [], "http")
    assert policy.allows(["http://wall.example"], [], "http")


@pytest.mark.parametrize(
    "entry",
    [
        "https://wall.example",
        "https://wall.example/",
        " https://wall.example ",
        "HTTPS://WALL.example:443",
        "https://wall.example.",
    ],
)
def test_allowed_origins(entry: str) -> None:
    assert allows("https://wall.example", "pbx:8000", "http", "http://other", entry)
    assert not allows("http://wall.example", "pbx:8000", "http", entry)
    assert not allows("https://wall.example:8443", "pbx:8000", "http", entry)
    assert not allows("https://a.wall.example", "pbx:8000", "http", entry)


def test_an_allowed_origin_in_unicode() -> None:
    assert allows("https://xn--bro-hoa.example", "pbx", "http", "https://büro.example")


def test_origins_of_applications() -> None:
    assert allows("file://", "pbx", "http", "file://")
    assert allows("app://panel", "pbx", "http", "APP://panel")
    assert not allows("app://other", "pbx", "http", "app://panel")


def test_null_needs_the_star() -> None:
    assert not allows("null", "pbx", "http", "null")
    assert allows("null", "pbx", "http", "*")


def test_the_star_allows_all() -> None:
    for origin in ("http://evil.example", "null", "", "x"):
        assert allows(origin, "pbx", "http", "https://wall.example", "*")


def test_whether_an_origin_is_listed() -> None:
    policy = OriginPolicy(["https://wall.example", "app://panel"])
    assert policy.names("https://WALL.example:443")
    assert policy.names("APP://panel")
    assert not policy.names("http://wall.example")
    assert not policy.names("null")
    assert not OriginPolicy().names("http://pbx:8000")
    assert OriginPolicy(["*"]).names("null")


def test_two_of_either_header_are_refused() -> None:
    for policy in (OriginPolicy(), OriginPolicy(["*"])):
        assert not policy.allows(["http://pbx", "http://pbx"], ["pbx"], "http")
        assert not policy.allows(["http://pbx"], ["pbx", "pbx"], "http")
        assert not policy.allows([], ["pbx", "pbx"], "http")


def test_the_spelling_to_paste() -> None:
    assert str(parse_origin("HTTPS://Wall.example:443")) == "https://wall.example"
    assert str(parse_origin("http://[0::1]:8000")) == "http://[::1]:8000"
    assert parse_authority("PBX.", "https") == Origin("https", "pbx", 443)


@given(st.text(max_size=60), st.text(max_size=60))
@pytest.mark.slow
def test_no_text_is_an_error(origin: str, host: str) -> None:
    policy = OriginPolicy(["https://wall.example"])
    if policy.allows([origin], [host], "http"):
        own = parse_authority(host, "http")
        assert parse_origin(origin) in (own, Origin("https", "wall.example", 443))


@given(
    st.from_regex(r"https?://(\[::[0-9a-f]{1,4}\]|[a-z0-9.]{1,20})(:[0-9]{1,5})?", fullmatch=True)
)
def test_an_origin_pasted_from_the_log_is_allowed(origin: str) -> None:
    parsed = parse_origin(origin)
    if parsed is not None:
        assert OriginPolicy([str(parsed)]).allows([origin], ["elsewhere"], "http")
