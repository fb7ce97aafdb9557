"""The head of a request, from bytes to values, checked strictly by RFC 9112; no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

from amiws_gevent.errors import AmiwsError
from amiws_gevent.web.gate import Headers

LONGEST_REQUEST_LINE = 8192  # bytes, as pywsgi has it; RFC 9112 asks for 8,000 at least
MOST_HEADERS = 100
LONGEST_BODY = 64 * 1024  # bytes, outside of the API; no page of ours sends one

_LINE_END = re.compile(r"\r?\n")
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rf"({_NAME}) ([\x21-\x7e\x80-\xff]+) HTTP/(\d)\.(\d)")
_HEADER = re.compile(rf"({_NAME}):([^\x00-\x08\x0a-\x1f\x7f]*)")
_ABSOLUTE_TARGET = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


class RequestError(AmiwsError):
    """A bad request: it is answered with ``status`` and the connection is closed."""

    def __init__(self, status: HTTPStatus, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class RequestHead(NamedTuple):
    """``target`` is as it was sent; ``version`` such as ``HTTP/1.1``."""

    method: str
    target: str
    version: str
    headers: Headers


def lines_of(head: bytes) -> list[str]:
    """The lines of a head, the request line first. The last two are empty if it came whole."""
    return _LINE_END.split(head.decode("latin-1"))


def parse(lines: Sequence[str]) -> RequestHead:
    """Raises RequestError, and ConnectionError if the head did not come whole."""
    if len(lines) < 3 or lines[-2:] != ["", ""]:
        raise ConnectionError("the connection ended within a request")
    if len(lines[0]) > LONGEST_REQUEST_LINE:
        raise RequestError(HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long")
    if len(lines) > MOST_HEADERS + 3:
        raise RequestError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the request has more than {MOST_HEADERS} headers",
        )
    words = _REQUEST_LINE.fullmatch(lines[0])
    if words is None:
        raise RequestError(HTTPStatus.BAD_REQUEST, "the request line is not HTTP")
    pairs = [_HEADER.fullmatch(line) for line in lines[1:-2]]
    if None in pairs:
        raise RequestError(HTTPStatus.BAD_REQUEST, "a header is not 'Name: value'")
    headers = Headers((pair[1], pair[2]) for pair in pairs if pair is not None)
    return RequestHead(words[1], words[2], f"HTTP/{words[3]}.{words[4]}", headers)


def check(head: RequestHead, path: str) -> None:
    """Raises RequestError. ``path`` is the target below the prefix of a proxy."""
    if head.version not in ("HTTP/1.1", "HTTP/1.0"):
        raise RequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "use HTTP/1.1")
    hosts = head.headers.getall("Host")
    if len(hosts) > 1 or (not hosts and head.version == "HTTP/1.1"):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the request must have one Host header")
    if not path.startswith("/") and not _ABSOLUTE_TARGET.match(path):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the target of the request is not a path")


def stays_open(head: RequestHead) -> bool:
    """Whether the client wants to send another request on this connection."""
    words = tokens(head.headers.get("Connection", ""))
    return "close" not in words and (head.version != "HTTP/1.0" or "keep-alive" in words)


def body_length(headers: Headers, most: int) -> int | None:
    """Bytes of the body, None without one; raises RequestError if it has more than ``most``."""
    lengths = headers.getall("Content-Length")
    if "Transfer-Encoding" in headers:
        if lengths:  # two lengths for one body allow request smuggling
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                "the request has both Content-Length and Transfer-Encoding",
            )
        raise RequestError(
            HTTPStatus.LENGTH_REQUIRED, "a request with a body must have a Content-Length"
        )
    if not lengths:
        return None
    if len(lengths) > 1 or not re.fullmatch("[0-9]{1,18}", lengths[0]):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the Content-Length is not a number")
    length = int(lengths[0])
    if length > most:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {most} bytes"
        )
    return length


def path_of(target: str) -> str:
    """The path in a target of a request, unquoted, as WSGI has it."""
    return unquote(_ABSOLUTE_TARGET.sub("", target, count=1).partition("?")[0], "latin-1")


def tokens(header: str) -> list[str]:
    """The words of a header that is a list of them, in lower case."""
    return [token.strip().lower() for token in header.split(",")]
