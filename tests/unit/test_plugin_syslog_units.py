"""Facilities, rates and targets as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from amiws_plugins.syslog_events.units import (
    Rate,
    Target,
    facility,
    rate,
    severity,
    target,
)

from amiws_gevent.values import Scalar


@pytest.mark.parametrize(
    ("text", "code"), [("kern", 0), ("LOG_DAEMON", 3), (" local0 ", 16), ("Local7", 23)]
)
def test_facilities(text: str, code: int) -> None:
    assert facility(text) == code
    assert facility(code) == code


@pytest.mark.parametrize("text", ["", "local8", "128", "24"])
def test_no_facilities(text: str) -> None:
    with pytest.raises(ValueError, match="must be a facility of syslog by name, such as local0"):
        facility(text)


@pytest.mark.parametrize(
    ("text", "code"), [("emerg", 0), ("Error", 3), ("warn", 4), ("5", 5), ("LOG_DEBUG", 7)]
)
def test_severities(text: str, code: int) -> None:
    assert severity(text) == code


@pytest.mark.parametrize("text", ["8", "-1", "loud", ""])
def test_no_severities(text: str) -> None:
    with pytest.raises(ValueError, match="must be a severity of syslog: emerg, alert, crit, err"):
        severity(text)


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [("20/min", 20, 60), ("5/s", 5, 1), ("1000 / Day", 1000, 86400), ("3 per hour", 3, 3600)],
)
def test_rates(text: str, count: int, seconds: int) -> None:
    made = rate(text)
    assert made == Rate(count, seconds)
    assert rate(str(made)) == made
    assert rate(made) is made


def test_no_limit() -> None:
    assert rate("None") == Rate(0, 0)
    assert str(Rate(0, 0)) == "none"


@pytest.mark.parametrize("text", ["20", "0/min", "-1/min", "20/fortnight", "", "1.5/s", "20/"])
def test_no_rates(text: str) -> None:
    with pytest.raises(ValueError, match="such as 20/min, 5/s or 1000/day, or none"):
        rate(text)


@pytest.mark.parametrize(
    ("text", "wanted", "shown"),
    [
        ("local", Target("local", "/dev/log"), "/dev/log"),
        ("/run/log", Target("local", "/run/log"), "/run/log"),
        ("udp://logs", Target("udp", host="logs", port=514), "udp://logs:514"),
        ("tcp://logs/", Target("tcp", host="logs", port=514), "tcp://logs:514"),
        ("TLS://Logs.Example", Target("tls", host="logs.example", port=6514), None),
        ("udp://[2001:db8::1]:99", Target("udp", host="2001:db8::1", port=99), None),
    ],
)
def test_targets(text: str, wanted: Target, shown: str | None) -> None:
    made = target(text)
    assert made == wanted
    assert target(str(made)) == made
    assert shown in (None, str(made))
    assert made.stream == (made.kind in ("tcp", "tls"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "logs.example.com",
        "http://logs",
        "udp://",
        "udp://logs:0",
        "udp://logs:x",
        "udp://logs:70000",
        "tcp://me@logs",
        "tcp://logs/path",
        "tcp://logs?x=1",
        "udp://[::1",
        "/" + "x" * 107,
        "/dev/\0log",
    ],
)
def test_no_targets(text: str) -> None:
    told = "must be local, the path of a socket such as /dev/log, or udp://|too long for a socket"
    with pytest.raises(ValueError, match=told):
        target(text)


@pytest.mark.parametrize("read", [facility, severity, rate, target])
def test_no_message_shows_what_the_environment_holds(read: Callable[[object], object]) -> None:
    with pytest.raises(ValueError, match=r"what '\$\{NAME\}' stands for") as caught:
        read(Scalar("udp://x:hunter2", "${NAME}"))
    assert "hunter2" not in str(caught.value)


def test_the_longest_path() -> None:
    assert target("/" + "x" * 106).path == "/" + "x" * 106
