"""What an answer means, and what of it gets into the log."""

from __future__ import annotations

import pytest
from amiws_plugins.webhook.answer import (
    KEPT_BODY,
    MAX_EXCERPT,
    MAX_RETRY_AFTER,
    Answer,
    Verdict,
    excerpt,
    public,
)

NOW = 1767225600.0  # 1 January 2026, 00:00:00 UTC


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.DELIVERED) for status in (200, 201, 202, 204, 299)),
        *((status, Verdict.LATER) for status in (408, 425, 429, 500, 502, 503, 504, 599, 999)),
        *((status, Verdict.REFUSED) for status in (400, 401, 403, 404, 409, 410, 413, 422, 499)),
        *((status, Verdict.REFUSED) for status in (101, 199, 300, 301, 302, 304, 307, 308)),
    ],
)
def test_the_status_decides(status: int, verdict: Verdict) -> None:
    assert Answer(status).verdict is verdict


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("86400", MAX_RETRY_AFTER),
        ("9" * 12, MAX_RETRY_AFTER),
        ("9" * 5000, 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("5, 6", 0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0),
        ("Fri, 02 Jan 2026 00:00:00 GMT", MAX_RETRY_AFTER),
        ("Thu, 01 Jan 0000 00:00:30 GMT", 0),
        ("Thu, 99 Jan 2026 00:00:30 GMT", 0),
        ("Thu, 01 Jan 9999 23:59:59 -2359", MAX_RETRY_AFTER),
    ],
)
def test_retry_after(text: str, seconds: float) -> None:
    assert Answer(429, retry_after=text).pause(NOW) == seconds


def test_the_answer_is_described_with_its_beginning() -> None:
    assert Answer(404, body=b"no such\r\nhook\n").describe(()) == '404: "no such hook"'
    assert Answer(500).describe(()) == "500"


def test_control_characters_are_not_shown() -> None:
    body = b"a\x1b[31mb\x00c\xe2\x80\xaed\xff\xc2\x9be"
    assert excerpt(body, ()) == "a [31mb c d e"


def test_a_long_answer_is_cut() -> None:
    assert excerpt(b"x" * MAX_EXCERPT, ()) == "x" * MAX_EXCERPT
    shown = excerpt(b"x" * 4000, ())
    assert len(shown) == MAX_EXCERPT
    assert shown.endswith("x...")


def test_secrets_that_come_back_are_not_shown() -> None:
    body = b'{"Authorization": "Bearer s3cret", "url": "/hook/s3cret-path"}'
    shown = excerpt(body, ["s3cret", "s3cret-path", "", "Bearer s3cret"])
    assert shown == '{"Authorization": "***", "url": "/hook/***"}'


def test_a_secret_cut_off_in_the_middle_is_not_shown() -> None:
    secret = "0123456789" * 50
    body = (secret * 20).encode()[:KEPT_BODY]
    assert set(excerpt(body, [secret])) <= {"*"}
    body = (b"It was: " + secret.encode() + b" " * KEPT_BODY)[:KEPT_BODY]
    assert excerpt(body, [secret]) == "It was: ***"
    assert excerpt(b"x" * KEPT_BODY, ["x" * 5000]) == ""


def test_a_redirect_names_the_place_without_its_secrets() -> None:
    answer = Answer(302, location="https://user:pw@other.example:8443/token?x=token")
    assert answer.describe(()) == (
        "302, a redirect to https://other.example:8443, which is not followed; correct url"
    )
    assert "redirect, which" in Answer(301).describe(())


@pytest.mark.parametrize(("status", "is_one"), [(300, True), (399, True), (400, False)])
def test_what_counts_as_a_redirect(status: int, is_one: bool) -> None:
    assert ("redirect" in Answer(status, location="/x").describe(())) is is_one


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/elsewhere", "another path"),
        ("//example.com/x", "http://example.com"),
        ("http://[::1]:99/x", "http://[::1]:99"),
        ("http://[", "an invalid URL"),
        ("http://a:99999/", "an invalid URL"),
    ],
)
def test_other_locations(location: str, shown: str) -> None:
    assert public(location) == shown
