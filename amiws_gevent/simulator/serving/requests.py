"""Actions as clients send them, with the limits and errors of Asterisk's manager.c, and answers.

Pure: bytes in, requests out. Text is what UTF-8 makes of the bytes; others are kept as surrogate
escapes, so that ``encode`` gives back what came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_LINE: Final = 1024  # bytes with the line's end: the size of Asterisk's input buffer
MAX_HEADERS: Final = 128  # AST_MAX_MANHEADERS

TOO_MANY_LINES: Final = "Too many lines in message or allocation failure"
LINE_TOO_LONG: Final = "Failed to parse message: line too long"

_TRUE: Final = frozenset({"yes", "true", "y", "t", "1", "on"})


@dataclass(frozen=True)
class Request:
    """One action as it came: lines in order. ``error`` says why it cannot be carried out."""

    lines: tuple[str, ...]
    error: str = ""

    def get(self, name: str) -> str:
        """The value of the first header of that name in any case; empty if there is none."""
        return next(iter(self.getall(name)), "")

    def getall(self, name: str) -> list[str]:
        wanted = name.lower()
        found = []
        for line in self.lines:
            head, colon, value = line.partition(":")
            if colon and head.lower() == wanted:
                found.append(value.lstrip(" \t"))
        return found

    def flag(self, name: str) -> bool:
        """Whether a header says yes, by Asterisk's ``ast_true``."""
        return is_true(self.get(name))


def is_true(text: str) -> bool:
    return text.lower() in _TRUE


def decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def respond(request: Request, kind: str, message: str = "", tail: str = "") -> str:
    """One answer: ``Response``, the request's ActionID, ``Message`` if any, more headers."""
    text = f"Response: {kind}\r\n{id_line(request)}"
    if message:
        text += f"Message: {message}\r\n"
    return f"{text}{tail}\r\n"


def id_line(request: Request) -> str:
    action_id = request.get("ActionID")
    return f"ActionID: {action_id}\r\n" if action_id else ""


def refuse(request: Request, message: str) -> str:
    return respond(request, "Error", message)


class RequestReader:
    """Cuts what a client sends into requests. A blank line ends one, even an empty one.

    A line ends at CRLF or at LF alone. One that does not fit into 1,024 bytes is thrown
    away but for its last byte, which begins the rest of it, and spoils its request; so do
    more than 128 lines. What follows a NUL in a line is not looked at.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[str] = []
        self._too_long = False
        self._too_many = False

    def receive_data(self, data: bytes) -> list[Request]:
        """The requests that are complete now, in order."""
        requests = []
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            whole = self._fit(line, 1)
            if whole.endswith(b"\r"):
                whole = whole[:-1]
            text = decode(whole.partition(b"\0")[0])
            if not text:
                requests.append(self._finish())
            elif len(self._lines) < MAX_HEADERS:
                self._lines.append(text)
            else:
                self._too_many = True
        self._rest = self._fit(rest, 0)
        return requests

    def _fit(self, line: bytes, ending: int) -> bytes:
        """Throws away what Asterisk's buffer cannot hold; ``ending`` is 1 with an LF seen."""
        while len(line) + ending > MAX_LINE or (not ending and len(line) >= MAX_LINE):
            self._too_long = True
            line = line[MAX_LINE - 1 :]
        return line

    def _finish(self) -> Request:
        error = ""
        if self._too_many:
            error = TOO_MANY_LINES
        elif self._too_long:
            error = LINE_TOO_LONG
        request = Request(tuple(self._lines), error)
        self._lines = []
        self._too_long = self._too_many = False
        return request
