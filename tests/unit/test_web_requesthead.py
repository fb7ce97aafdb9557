"""The head of a request: what is taken of its bytes, and what is refused. tests/unit/
test_web_handler.py has the same over a connection."""

from __future__ import annotations

import pytest

from amiws_gevent.web.requesthead import (
    MOST_HEADERS,
    RequestError,
    RequestHead,
    body_length,
    check,
    lines_of,
    parse,
    path_of,
    stays_open,
    tokens,
)


def parsed(*headers: str, line: str = "GET /a?b HTTP/1.1") -> RequestHead:
    return parse(lines_of("\r\n".join([line, *headers, "", ""]).encode("latin-1")))


def test_a_head() -> None:
    head = parsed("Host: x", "X-One: 1", "x-one: 2")
    assert (head.method, head.target, head.version) == ("GET", "/a?b", "HTTP/1.1")
    assert head.headers.getall("X-One") == ["1", "2"]
    check(head, "/a?b")


def test_one_that_did_not_come_whole() -> None:
    with pytest.raises(ConnectionError):
        parse(lines_of(b"GET / HTTP/1.1\r\nHost: x\r\n"))


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("GET / HTTP/1.1" + " " * 9000, (), 414),
        ("GET /", (), 400),
        ("GET  / HTTP/1.1", (), 400),
        ("GET / HTTP/1.1", ("no header",), 400),
        ("GET / HTTP/1.1", ("A : 1",), 400),
        ("GET / HTTP/1.1", ("A: 1",) * (MOST_HEADERS + 1), 431),
        ("GET / HTTP/2.0", ("Host: x",), 505),
        ("GET / HTTP/1.1", (), 400),
        ("GET / HTTP/1.1", ("Host: x", "Host: y"), 400),
        ("GET a HTTP/1.1", ("Host: x",), 400),
    ],
)
def test_what_is_refused(line: str, headers: tuple[str, ...], status: int) -> None:
    def take() -> None:
        head = parsed(*headers, line=line)
        check(head, head.target)

    with pytest.raises(RequestError) as caught:
        take()
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("version", "header", "stays"),
    [
        ("1.1", "", True),
        ("1.1", "close", False),
        ("1.0", "", False),
        ("1.0", "Keep-Alive", True),
        ("1.0", "keep-alive, close", False),
    ],
)
def test_whether_the_connection_stays(version: str, header: str, stays: bool) -> None:
    head = parsed(f"Connection: {header}", line=f"GET / HTTP/{version}")
    assert stays_open(head) is stays


def test_bodies() -> None:
    assert body_length(parsed().headers, 10) is None
    assert body_length(parsed("Content-Length: 10").headers, 10) == 10
    refused = [
        (("Content-Length: 11",), 413),
        (("Content-Length: -1",), 400),
        (("Content-Length: 1", "Content-Length: 1"), 400),
        (("Transfer-Encoding: chunked",), 411),
        (("Transfer-Encoding: chunked", "Content-Length: 1"), 400),
    ]
    for headers, status in refused:
        with pytest.raises(RequestError) as caught:
            body_length(parsed(*headers).headers, 10)
        assert caught.value.status == status


def test_parts_of_a_target_and_a_header() -> None:
    assert path_of("http://h:1/a%20b?c") == path_of("/a%20b") == "/a b"
    assert tokens("Upgrade,  keep-alive") == ["upgrade", "keep-alive"]
