"""The session cookie: it opens the WebSocket after a Digest login on a page.

A browser's WebSocket cannot always answer a Digest challenge. The cookie is the user
name and the time, signed with a key made from that user's HA1. It stays valid over a
restart, a changed password or a removed user ends it at once, and nothing is stored.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from itsdangerous import BadData, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

# Other paths or parent domains may set cookies of the same name; only this many are tried.
MAX_CANDIDATES = 4


class _Signer(TimestampSigner):
    """TimestampSigner on a given clock."""

    def __init__(self, key: bytes, salt: str, clock: Callable[[], float]) -> None:
        super().__init__(key, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock())


@dataclass(frozen=True)
class Session:
    """A valid cookie: its user, and its age in seconds."""

    user: str
    age: float


class SessionCookies:
    """Makes and checks the cookies of one instance, which its port identifies.

    Cookies are not kept apart by port, so the port is in the name and in the signature.
    ``lifetime`` is in seconds; ``clock`` is wall-clock time, as it outlives the process.
    """

    def __init__(
        self, port: int, lifetime: float, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = f"amiws_session_{port}"
        self.lifetime = int(lifetime)
        self._salt = f"amiws-gevent session {port}"
        self._clock = clock

    def issue(self, user: str, ha1: bytes, *, secure: bool) -> str:
        """The value of a ``Set-Cookie`` header; ``secure`` when the request came by TLS."""
        signed = self._signer(ha1).sign(base64_encode(user)).decode("ascii")
        parts = [
            f"{self.name}={signed}",
            f"Max-Age={self.lifetime}",
            "Path=/",
            "HttpOnly",
            "SameSite=Strict",
        ]
        if secure:
            parts.append("Secure")
        return "; ".join(parts)

    def sent(self, headers: Iterable[str]) -> list[str]:
        """The values of our cookie in the ``Cookie`` headers of a request."""
        pairs = [pair.strip(" \t") for header in headers for pair in header.split(";")]
        prefix = self.name + "="
        values = [pair.removeprefix(prefix) for pair in pairs if pair.startswith(prefix)]
        return values[:MAX_CANDIDATES]

    def check(
        self, headers: Iterable[str], ha1_of: Callable[[str], bytes | None]
    ) -> Session | None:
        """The first valid cookie among the ``Cookie`` headers, None without one.

        ``ha1_of`` gives a user's HA1 of this moment, None when there is no such user.
        """
        sessions = (self._check_one(value, ha1_of) for value in self.sent(headers))
        return next((session for session in sessions if session is not None), None)

    def _signer(self, ha1: bytes) -> _Signer:
        return _Signer(ha1, self._salt, self._clock)

    def _check_one(self, value: str, ha1_of: Callable[[str], bytes | None]) -> Session | None:
        if not value.isascii():
            return None
        try:
            user = base64_decode(value.partition(".")[0]).decode("utf-8")
            ha1 = ha1_of(user)
            if ha1 is None:
                return None
            _, made = self._signer(ha1).unsign(value, max_age=self.lifetime, return_timestamp=True)
        except (BadData, UnicodeDecodeError):
            return None
        return Session(user, max(0.0, self._clock() - made.timestamp()))
