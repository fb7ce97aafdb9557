"""Who is believed about the client behind a proxy, and who is not."""

from __future__ import annotations

import re

import pytest

from amiws_gevent.config.units import networks
from amiws_gevent.plugins.api import Headers
from amiws_gevent.web.proxies import MOST_HOPS, Proxies, Way

PROXY = "10.0.0.1"
TRUSTED = "10.0.0.0/24, 2001:db8:1::/48, ::1"
Pairs = list[tuple[str, str]]


def way(*pairs: tuple[str, str], peer: str = PROXY, forwarded: bool = False) -> Way:
    return Proxies(networks(TRUSTED), forwarded=forwarded).way(peer, "http", Headers(pairs))


def client(text: str, **more: str) -> str:
    """The client's address by one X-Forwarded-For."""
    return way(("X-Forwarded-For", text), **more).address  # type: ignore[arg-type]


def by_forwarded(*texts: str, peer: str = PROXY) -> Way:
    return way(*(("Forwarded", text) for text in texts), peer=peer, forwarded=True)


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.0.0.1", True),
        ("10.0.0.255", True),
        ("10.0.1.0", False),
        ("2001:db8:1::5", True),
        ("2001:db8:2::5", False),
        ("::1", True),
        ("fe80::1%eth0", False),
        ("unix", False),
        ("", False),
    ],
)
def test_who_is_trusted(address: str, trusted: bool) -> None:
    assert Proxies(networks(TRUSTED)).trusts(address) is trusted
    assert not Proxies().trusts(address)


EVERYTHING = (
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Prefix", "/amiws"),
    ("Forwarded", "for=203.0.113.8;proto=https"),
)


@pytest.mark.parametrize("forwarded", [False, True])
def test_nobody_else_is_believed(forwarded: bool) -> None:
    peer = "192.0.2.66"
    assert way(*EVERYTHING, peer=peer, forwarded=forwarded) == Way(peer, "http")


def test_only_one_family_is_read() -> None:
    assert way(*EVERYTHING) == Way("203.0.113.7", "https", "/amiws", PROXY)
    assert way(*EVERYTHING, forwarded=True) == Way("203.0.113.8", "https", "/amiws", PROXY)


def test_a_proxy_that_says_nothing() -> None:
    assert way() == Way(PROXY, "http", "", PROXY)
    assert by_forwarded() == Way(PROXY, "http", "", PROXY)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7\t", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
        # What stands before the client's own address it has made up.
        ("10.0.0.9, 203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 2.2.2.2, 203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7, 10.0.0.2, [2001:db8:1::2]:80", "203.0.113.7"),
        # A client in the proxies' own network.
        ("10.0.0.5", "10.0.0.5"),
        ("10.0.0.5, 10.0.0.2", "10.0.0.5"),
        # What cannot be read ends it at the last that is known.
        ("", PROXY),
        (",", PROXY),
        ("203.0.113.7,", PROXY),
        ("unknown", PROXY),
        ("_hidden", PROXY),
        ("localhost", PROXY),
        ("203.0.113.7, unknown", PROXY),
        ("203.0.113.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("203.0.113", PROXY),
        ("203.0.113.07", PROXY),
        ("203.0.113.256", PROXY),
        ("203.0.113.7:", PROXY),
        ("203.0.113.7:80:90", PROXY),
        ("203.0.113.7 evil", PROXY),
        ("fe80::1%eth0", PROXY),
        ("fe80::1%\x1b[31m", PROXY),
        ("[2001:db8::7", PROXY),
        ("2001:db8::7]", PROXY),
        ("[[::1]]", PROXY),
        ('"203.0.113.7"', PROXY),
        ("for=203.0.113.7", PROXY),
        ("0x7f000001", PROXY),
        ("2130706433", PROXY),
        ("\xff\xfe", PROXY),
        ("9" * 5000, PROXY),
    ],
)
def test_x_forwarded_for(text: str, address: str) -> None:
    assert client(text) == address


def test_several_headers_are_one_list() -> None:
    pairs = [("X-Forwarded-For", "1.1.1.1"), ("x-forwarded-for", "203.0.113.7, 10.0.0.2")]
    assert way(*pairs).address == "203.0.113.7"
    assert way(*pairs[::-1]).address == "1.1.1.1"


def test_a_long_list_of_proxies_ends() -> None:
    hops = ", ".join(["203.0.113.7", *["10.0.0.2"] * (MOST_HOPS - 1)])
    assert client(hops) == "203.0.113.7"
    assert client(f"{hops}, 10.0.0.3") == "10.0.0.2"
    assert client(",".join(["10.0.0.2"] * 20_000)) == "10.0.0.2"


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("wss", "https"),
        ("ws", "http"),
        ("http", "http"),
        ("", "http"),
        ("javascript", "http"),
        ("https://evil", "http"),
        # The client's own word, before that of the proxy.
        ("https, http", "http"),
        ("http, https", "https"),
    ],
)
def test_x_forwarded_proto(proto: str, scheme: str) -> None:
    pairs = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Proto", proto)]
    assert way(*pairs).scheme == scheme
    assert way(pairs[1]).scheme == scheme


def test_the_scheme_at_the_outermost_proxy_counts() -> None:
    hops = ("X-Forwarded-For", "6.6.6.6, 203.0.113.7, 10.0.0.2")
    assert way(hops, ("X-Forwarded-Proto", "https")).scheme == "https"
    assert way(hops, ("X-Forwarded-Proto", "https, http")).scheme == "https"
    assert way(hops, ("X-Forwarded-Proto", "http, https")).scheme == "http"
    assert way(hops, ("X-Forwarded-Proto", "https, http, http")).scheme == "http"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("for=203.0.113.7", ("203.0.113.7", "http")),
        ("For=203.0.113.7;Proto=HTTPS", ("203.0.113.7", "https")),
        ('for="203.0.113.7:4711"; proto="https"', ("203.0.113.7", "https")),
        ('for="[2001:db8::7]:4711"', ("2001:db8::7", "http")),
        ('for="\\2\\03.0.113.7"', ("203.0.113.7", "http")),
        ("for=6.6.6.6, for=203.0.113.7;by=10.0.0.1", ("203.0.113.7", "http")),
        ("for=203.0.113.7;proto=https, for=10.0.0.2;proto=http", ("203.0.113.7", "https")),
        ("proto=https", (PROXY, "https")),
        ("for=unknown;proto=https", (PROXY, "https")),
        ("for=_secret", (PROXY, "http")),
        ("for=203.0.113.7, for=_secret", (PROXY, "http")),
        ("for=203.0.113.7;for=6.6.6.6", (PROXY, "http")),
        ('for="203.0.113.7', (PROXY, "http")),
        ("203.0.113.7", (PROXY, "http")),
        ("for=", (PROXY, "http")),
        ("", (PROXY, "http")),
        (";;;", (PROXY, "http")),
        # A proxy writes what the client has sent as Host; its quotes are escaped.
        ('for=203.0.113.7;host="a, for=6.6.6.6"', ("203.0.113.7", "http")),
        ('for=203.0.113.7;host="a\\", for=6.6.6.6, \\""', ("203.0.113.7", "http")),
        # A client cannot hide what a proxy adds.
        ('for="6.6.6.6, for=203.0.113.7;proto=https', ("203.0.113.7", "https")),
        ('for=6.6.6.6;x="\\, for=203.0.113.7', ("203.0.113.7", "http")),
        ('x="a, for="[2001:db8::7]"', ("2001:db8::7", "http")),
        ("garbage @ all, , for=203.0.113.7", ("203.0.113.7", "http")),
        # No longer than quotes may reach.
        ('for=203.0.113.7;x="' + "," * 10_000 + '"', (PROXY, "http")),
    ],
)
def test_forwarded(text: str, expected: tuple[str, str]) -> None:
    found = by_forwarded(text)
    assert (found.address, found.scheme) == expected


def test_several_headers_of_forwarded() -> None:
    assert by_forwarded("for=6.6.6.6", "for=203.0.113.7").address == "203.0.113.7"
    assert by_forwarded('for="6.6.6.6', "for=203.0.113.7").address == "203.0.113.7"
    assert by_forwarded("for=203.0.113.7", "for=10.0.0.2").address == "203.0.113.7"
    assert by_forwarded("for=203.0.113.7", 'x="', "for=10.0.0.2").address == "10.0.0.2"


@pytest.mark.parametrize(
    ("prefix", "taken"),
    [
        ("/amiws", "/amiws"),
        ("/amiws/", "/amiws"),
        ("/tools/amiws-2_~.x", "/tools/amiws-2_~.x"),
        ("/", ""),
        ("", ""),
        ("amiws", ""),
        ("//evil.example", ""),
        ("/a//b", ""),
        ("/..", ""),
        ("/a/../b", ""),
        ("/a;Domain=evil.example", ""),
        ("/a\\b", ""),
        ("/a b", ""),
        ('/a"b', ""),
        ("/%2e%2e", ""),
        ("/" + "a" * 300, ""),
        ("https://evil.example/", ""),
    ],
)
def test_x_forwarded_prefix(prefix: str, taken: str) -> None:
    assert way(("X-Forwarded-Prefix", prefix)).prefix == taken


def test_two_prefixes_are_none() -> None:
    assert way(("X-Forwarded-Prefix", "/a"), ("X-Forwarded-Prefix", "/b")).prefix == ""


def test_an_address_has_one_spelling_and_no_control_character() -> None:
    for text in ("::FFFF:10.0.0.7", "2001:0db8::0:7", "[2001:db8:0:0:0:0:0:7]:1"):
        assert re.fullmatch("[0-9a-f.:]+", client(text))
