"""Actions are cut from bytes as manager.c does it: line ends, limits, errors."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.serving.requests import (
    LINE_TOO_LONG,
    MAX_HEADERS,
    TOO_MANY_LINES,
    Request,
    RequestReader,
    is_true,
)


def read(data: bytes) -> list[Request]:
    return RequestReader().receive_data(data)


def test_an_action_ends_at_a_blank_line() -> None:
    reader = RequestReader()
    assert reader.receive_data(b"Action: Ping\r\nActionID: 1\r\n") == []
    assert reader.receive_data(b"\r\nAction: x\r\n\r\n") == [
        Request(("Action: Ping", "ActionID: 1")),
        Request(("Action: x",)),
    ]


@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_a_bare_lf_ends_a_line_too(ending: bytes) -> None:
    requests = read(b"Action: Ping" + ending + b"A: b" + ending + ending)
    assert requests == [Request(("Action: Ping", "A: b"))]


def test_every_cut_gives_the_same() -> None:
    data = b"Action: Ping\r\nActionID: \xc3\xa4\r\n\r\nAction: Echo\nX: " + b"y" * 2000 + b"\n\n\n"
    whole = read(data)
    assert [request.error for request in whole] == ["", LINE_TOO_LONG, ""]
    reader = RequestReader()
    assert [r for i in range(len(data)) for r in reader.receive_data(data[i : i + 1])] == whole


def test_headers_are_found_in_any_case_and_the_first_counts() -> None:
    request = Request(("action:Ping", "Variable: a=1", "VARIABLE:  b=2", "noaction", "Empty: "))
    assert request.get("Action") == "Ping"
    assert request.get("Variable") == "a=1"
    assert request.getall("variable") == ["a=1", "b=2"]
    assert (request.get("Empty"), request.get("Missing")) == ("", "")


def test_bytes_that_are_no_utf8_are_kept() -> None:
    (request,) = read(b"ActionID: \xe4\xff\r\n\r\n")
    assert request.get("ActionID").encode("utf-8", "surrogateescape") == b"\xe4\xff"


def test_what_follows_a_nul_is_not_looked_at() -> None:
    assert read(b"Action: Ping\x00Pong\r\n\r\n") == [Request(("Action: Ping",))]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"x" * 1022 + b"\r\n", ""),
        (b"x" * 1023 + b"\n", ""),
        (b"x" * 1024 + b"\n", LINE_TOO_LONG),
        (b"x" * 5000 + b"\r\n", LINE_TOO_LONG),
    ],
)
def test_a_line_has_at_most_1024_bytes_with_its_end(line: bytes, error: str) -> None:
    (request,) = read(line + b"ActionID: 7\r\n\r\n")
    assert request.error == error
    assert request.get("ActionID") == "7"


def test_the_next_action_after_a_long_line_is_fine() -> None:
    requests = read(b"x" * 3000 + b"\r\n\r\nAction: Ping\r\n\r\n")
    assert [request.error for request in requests] == [LINE_TOO_LONG, ""]


def test_a_long_line_is_not_kept_in_memory() -> None:
    reader = RequestReader()
    for _ in range(100):
        assert reader.receive_data(b"y" * 100_000) == []
    assert len(reader._rest) < 1024


def test_at_most_128_lines() -> None:
    lines = b"A: b\r\n" * MAX_HEADERS
    assert read(lines + b"\r\n")[0].error == ""
    requests = read(lines + b"C: d\r\n\r\nAction: Ping\r\n\r\n")
    assert [request.error for request in requests] == [TOO_MANY_LINES, ""]
    assert TOO_MANY_LINES.startswith("Too many lines in message")


def test_a_blank_line_alone_is_a_request_without_action() -> None:
    assert read(b"\r\n") == [Request(())]


def test_what_counts_as_yes() -> None:
    assert all(map(is_true, ("yes", "TRUE", "y", "t", "1", "on")))
    assert not any(map(is_true, ("", "no", "0", "2", "off")))
    assert Request(("Async: true",)).flag("Async")
