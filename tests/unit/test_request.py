from __future__ import annotations

import dataclasses

import pytest

from amiws_gevent.request import Headers, RequestInfo

PAIRS = [("Host", " a "), ("X-Two", "1"), ("x-two", "\t2"), ("COOKIE", "s=1")]


def test_names_are_found_in_any_case() -> None:
    headers = Headers(PAIRS)
    assert headers["HOST"] == headers["host"] == headers.get("Host") == "a"
    assert "hOST" in headers
    assert headers.get("Absent") is None
    assert headers.get("Absent", "-") == "-"
    with pytest.raises(KeyError):
        headers["Absent"]


def test_repeats_are_joined_and_can_be_told_apart() -> None:
    headers = Headers(PAIRS)
    assert headers["X-Two"] == "1, 2"
    assert headers.getall("x-TWO") == ["1", "2"]
    assert headers.getall("Absent") == []
    assert len(headers) == 3
    assert list(headers) == ["host", "x-two", "cookie"]


def test_what_is_no_name_is_not_in_it() -> None:
    assert None not in Headers(PAIRS)
    assert not Headers()


def test_values_given_out_cannot_change_it() -> None:
    headers = Headers(PAIRS)
    headers.getall("host").append("b")
    assert headers["Host"] == "a"


def test_a_request_is_frozen_and_shows_no_header_s_value() -> None:
    request = RequestInfo("GET", "/ws", Headers([("Cookie", "s3cret")]), "http", "192.0.2.1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.method = "POST"  # type: ignore[misc]
    assert "s3cret" not in repr(request)
