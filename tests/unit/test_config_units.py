"""Values as people write them."""

from __future__ import annotations

import logging.handlers
from collections.abc import Callable

import pytest

from amiws_gevent.config import units
from amiws_gevent.values import Scalar


@pytest.mark.parametrize(
    ("value", "number"), [("0", 0), ("8000", 8000), ("08000", 8000), (65535, 65535)]
)
def test_whole_number(value: object, number: int) -> None:
    assert units.whole_number(value, 0, 65535) == number


@pytest.mark.parametrize(
    "value",
    [
        "8a998",
        "",
        "-1",
        "+1",
        "65536",
        "8_000",
        "1e3",
        "80.0",
        " 80",
        "٣",
        "9" * 5000,
        True,
        1.0,
        None,
        [],
        {},
    ],
)
def test_what_is_no_whole_number_is_told_with_its_bounds(value: object) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 0 to 65535, not"):
        units.whole_number(value, 0, 65535)


@pytest.mark.parametrize("word", ["yes", "YES", "On", "true", "True", "1", 1, True])
def test_flags_that_are_on(word: object) -> None:
    assert units.flag(word) is True


@pytest.mark.parametrize("word", ["no", "No", "OFF", "false", "0", 0, False])
def test_flags_that_are_off(word: object) -> None:
    assert units.flag(word) is False


@pytest.mark.parametrize("word", ["", "y", "maybe", "2", 2, None, [], 1.0])
def test_what_is_neither_yes_nor_no(word: object) -> None:
    with pytest.raises(ValueError, match="must be yes or no"):
        units.flag(word)


def test_facilities_are_those_of_the_system() -> None:
    theirs = logging.handlers.SysLogHandler.facility_names
    assert {name: theirs[name] << 3 for name in units.FACILITIES} == units.FACILITIES


@pytest.mark.parametrize(
    ("value", "facility"),
    [
        ("40", 40),
        (128, 128),
        ("0", 0),
        ("184", 184),
        ("96", 96),
        ("local0", 128),
        ("LOG_LOCAL4", 160),
        ("Daemon", 24),
        ("LOG_KERNEL", 0),
        ("log_syslog", 40),
    ],
)
def test_facility(value: object, facility: int) -> None:
    assert units.facility(value) == facility


@pytest.mark.parametrize("value", ["local8", "", "192", "-8", "41", "local0,local1", True, None])
def test_what_is_no_facility(value: object) -> None:
    with pytest.raises(ValueError, match=r"by name \(local0, daemon, LOG_SYSLOG\)"):
        units.facility(value)


def test_a_facility_that_is_not_shifted_is_recognised() -> None:
    with pytest.raises(ValueError, match="did you mean 136"):
        units.facility("17")


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("6", 6),
        (0, 0),
        ("info", 6),
        ("LOG_INFO", 6),
        ("Warning", 4),
        ("warn", 4),
        ("error", 3),
        ("err", 3),
        ("debug", 7),
        ("LOG_EMERG", 0),
        ("critical", 2),
    ],
)
def test_level(value: object, level: int) -> None:
    assert units.level(value) == level


@pytest.mark.parametrize("value", ["8", "-1", "verbose", "", None, True, "3.0"])
def test_what_is_no_level(value: object) -> None:
    with pytest.raises(ValueError, match=r"0 to 7 or emerg, .*debug, not"):
        units.level(value)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", set()),
        (" , ", set()),
        ("*", set()),
        ("Hangup", {"hangup"}),
        ("Hangup,Newchannel", {"hangup", "newchannel"}),
        ("Hangup Newchannel\n  AOC-S", {"hangup", "newchannel", "aoc-s"}),
        ("Hangup|Newchannel;VarSet", {"hangup", "newchannel", "varset"}),
        (["Hangup", "VarSet, Dial_Begin"], {"hangup", "varset", "dial_begin"}),
        (("Hangup",), {"hangup"}),
        (frozenset({"Hangup"}), {"hangup"}),
    ],
)
def test_event_names(value: object, names: set[str]) -> None:
    assert units.event_names(value) == names


@pytest.mark.parametrize("value", ["Hang*", "?angup", ["Hangup", []], [1], {}, {"Hangup": 1}, 5])
def test_what_are_no_event_names(value: object) -> None:
    with pytest.raises(ValueError, match="names of events"):
        units.event_names(value)


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        ("latin-1", "iso8859-1"),
        ("CP1251", "cp1251"),
        ("gb18030", "gb18030"),
        ("utf8", "utf-8"),
        ("shift_jis", "shift_jis"),
        ("koi8-r", "koi8-r"),
    ],
)
def test_encoding(value: str, codec: str) -> None:
    assert units.encoding(value) == codec


@pytest.mark.parametrize("value", ["klingon", "", "a\0b", "a b", [], "../x"])
def test_unknown_encodings(value: object) -> None:
    with pytest.raises(ValueError, match="must be an encoding"):
        units.encoding(value)


@pytest.mark.parametrize(
    "value",
    [
        "hex",
        "base64",
        "rot13",
        "utf-16",
        "utf-32",
        "utf-7",
        "hz",
        "cp037",
        "idna",
        "punycode",
        "unicode_escape",
        "raw_unicode_escape",
        "undefined",
    ],
)
def test_encodings_that_header_names_are_not_in(value: str) -> None:
    with pytest.raises(ValueError, match="must be an encoding that has ASCII unchanged"):
        units.encoding(value)


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ("https://A.Example.COM", "https://a.example.com"),
        ("https://a.example.com:443", "https://a.example.com"),
        ("http://a.example.com:80/", "http://a.example.com"),
        ("http://a.example.com:443", "http://a.example.com:443"),
        ("http://10.0.0.5:08080", "http://10.0.0.5:8080"),
        ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("app://panel", "app://panel"),
        ("*", "*"),
    ],
)
def test_origin(value: str, origin: str) -> None:
    assert units.origin(value) == origin


@pytest.mark.parametrize(
    "value",
    [
        "a.example.com",
        "null",
        "https://",
        "https://a/path",
        "https://*.example.com",
        "//a",
        "",
        "https://a:0",
        "https://a:65536",
        "https://a:x",
        "https://u@a",
        "https://[::z]",
        "https://a?",
        "https://" + "a" * 300,
    ],
)
def test_what_is_no_origin(value: str) -> None:
    with pytest.raises(ValueError, match=r"must be origins such as https://"):
        units.origin(value)


@pytest.mark.parametrize(
    "value",
    [
        "https://a, http://b:81,https://A:443",
        ["https://a", "http://b:81"],
        ("https://a http://b:81",),
    ],
)
def test_origins(value: object) -> None:
    assert units.origins(value) == ("https://a", "http://b:81")


@pytest.mark.parametrize("value", [5, None, {}, [None], [["https://a"]]])
def test_what_are_no_origins(value: object) -> None:
    with pytest.raises(ValueError, match="must be origins"):
        units.origins(value)


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("PBX.Example.com", "pbx.example.com"),
        ("pbx.example.com.", "pbx.example.com"),
        ("pbx.example.com:8000", "pbx.example.com"),
        ("pbx", "pbx"),
        ("my_pbx.example.com", "my_pbx.example.com"),
        (".Example.com", ".example.com"),
        ("*.example.com:443", "*.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("10.0.0.5", "10.0.0.5"),
        ("[0:0::1]:8080", "[::1]"),
        ("*", "*"),
    ],
)
def test_host(value: str, host: str) -> None:
    assert units.host(value) == host


@pytest.mark.parametrize(
    "value",
    [
        "http://pbx.example.com",
        "pbx.example.com/",
        "pbx.*.com",
        "*pbx.example.com",
        "*.",
        ".",
        "*:8000",
        "",
        "a..b",
        "a b",
        "::1",
        "[::z]",
        ".[::1]",
        "pbx:x",
        "user@pbx",
        "a" * 300,
    ],
)
def test_what_is_no_host(value: str) -> None:
    with pytest.raises(ValueError, match=r"must be names such as pbx\.example\.com"):
        units.host(value)


@pytest.mark.parametrize("value", ["a.example, .b.org,A.example:80", ["a.example", ".b.org"]])
def test_hosts(value: object) -> None:
    assert units.hosts(value) == ("a.example", ".b.org")


@pytest.mark.parametrize("value", ["", [], [" "]])
def test_no_hosts(value: object) -> None:
    assert units.hosts(value) == ()


@pytest.mark.parametrize("value", [5, None, {}, [None], [["a"]]])
def test_what_are_no_hosts(value: object) -> None:
    with pytest.raises(ValueError, match="must be names of hosts"):
        units.hosts(value)


@pytest.mark.parametrize("read", [units.flag, units.facility, units.level, units.encoding])
def test_no_message_shows_what_the_environment_holds(read: Callable[[object], object]) -> None:
    with pytest.raises(ValueError, match=r"what '\$\{NAME\}' stands for") as caught:
        read(Scalar("hunter2", "${NAME}"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", []),
        ("127.0.0.1", ["127.0.0.1/32"]),
        ("10.1.0.0/16, ::1 2001:DB8::/32", ["10.1.0.0/16", "::1/128", "2001:db8::/32"]),
        (["10.1.0.0/16", "10.1.0.0/16"], ["10.1.0.0/16"]),
        ((), []),
    ],
)
def test_networks(value: object, found: list[str]) -> None:
    made = units.networks(value)
    assert [str(network) for network in made] == found
    assert units.networks(made) == made


@pytest.mark.parametrize(
    "value", ["proxy.example", "10.1.0.1/16", "10.1.0.0/33", "*", "fe80::1%eth0x/64/", "1", [5], {}]
)
def test_what_is_no_network(value: object) -> None:
    with pytest.raises(ValueError, match="must be addresses"):
        units.networks(value)


@pytest.mark.parametrize(
    ("value", "path"), [("", ""), ("/", ""), ("/amiws", "/amiws"), ("/a/b-2_~.x/", "/a/b-2_~.x")]
)
def test_path_prefixes(value: str, path: str) -> None:
    assert units.path_prefix(value) == path


@pytest.mark.parametrize(
    "value",
    ["amiws", "//a", "/a//b", "/..", "/a/./b", "/a b", "/a;b", '/a"', "/%61", "/" + "a" * 201],
)
def test_what_is_no_path_prefix(value: str) -> None:
    with pytest.raises(ValueError, match="must be a path such as /amiws"):
        units.path_prefix(value)


def test_names_of_headers() -> None:
    assert units.header_name("X-Forwarded-User") == "X-Forwarded-User"
    for taken in ("Authorization", "cookie", "HOST", "X-Forwarded-For", "Origin"):
        with pytest.raises(ValueError, match="of its own"):
            units.header_name(taken)
    for wrong in ("", "Remote_User", "Remote User", "Remote:", "R\r\nX", "1st", "x" * 65, "Ü"):
        with pytest.raises(ValueError, match="must be the name of a header"):
            units.header_name(wrong)


@pytest.mark.parametrize(
    "value",
    ["/oauth2/sign_out?rd=%2F", "https://sso.example.com", "https://sso.example.com/out", "/"],
)
def test_where_to_log_out(value: str) -> None:
    assert units.logout_url(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "out", "//evil.example/", "javascript:alert(1)", "ftp://a/", "/a b", "/a\n", "https://"],
)
def test_where_nobody_is_sent(value: str) -> None:
    with pytest.raises(ValueError, match="must be a path such as /oauth2/sign_out"):
        units.logout_url(value)


def test_what_proxies_send() -> None:
    assert units.proxy_headers("Forwarded") == "forwarded"
    assert units.proxy_headers("X-FORWARDED") == "x-forwarded"
    with pytest.raises(ValueError, match="must be x-forwarded or forwarded"):
        units.proxy_headers("both")
