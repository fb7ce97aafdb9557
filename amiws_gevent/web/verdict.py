"""What is decided on a request: the login that it has, or the answer that refuses it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from amiws_gevent.identity import NONE, Identity

LOGGED_OUT = "logged out"
LOGIN_GONE = "its login or token is not valid any more"


@dataclass(frozen=True)
class Grant:
    """A login that was accepted, and what it rests on; `Gate.end_of` says whether it still holds.

    ``user`` and ``kind`` are those of `Identity`. ``secret``: what the login was checked against.
    ``sessions``: those of a user of ``auth_file``, of which a logout ends the login.
    """

    user: str | None = None
    kind: str = NONE
    secret: bytes = field(default=b"", repr=False)
    sessions: frozenset[bytes] = frozenset()

    def identity(self, address: str) -> Identity:
        """Who it is, at an address without a port."""
        return Identity(self.user, self.kind, address)


NOBODY = Grant()
"""Nobody has to log in."""


@dataclass(frozen=True)
class Verdict:
    """``status`` 200: go on with ``grant``.

    Otherwise the whole answer: the status, and a body of text that says what to change.
    ``headers`` belong to the answer either way (the 101 as well): ``Set-Cookie`` with
    200, ``WWW-Authenticate`` and ``Content-Type`` with a refusal. They have no
    ``Content-Length``.
    """

    status: int
    grant: Grant = NOBODY
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def user(self) -> str | None:
        """Who logged in; None: nobody has to, or it is refused."""
        return self.grant.user

    @property
    def detail(self) -> str:
        """The words of the body, without the status before them."""
        return self.body.decode().removeprefix(f"{self.status} ").rstrip("\n")


def refusal(status: int, text: str, *headers: tuple[str, str]) -> Verdict:
    """An answer of plain text."""
    return Verdict(
        status,
        headers=(
            *headers,
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ),
        body=f"{status} {text}\n".encode(),
    )


def shown(text: str) -> str:
    """Text of a client, fit for a log line and a plain-text body: quoted, ASCII, cut."""
    return json.dumps(text[:200])
