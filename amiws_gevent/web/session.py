"""The session cookie: it opens the WebSocket after a Digest login on a page.

A browser's WebSocket cannot always answer a Digest challenge. The cookie is the user
name, the id of the session and the time, signed with a key made from that user's HA1. It stays
valid over a restart. A changed password, a removed user or a logout ends it at once. Nothing is
stored but what was logged out.
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
    """A valid cookie: its user, its age in seconds, and the id of its session."""

    user: str
    age: float
    id: bytes


class SessionCookies:
    """Makes and checks the cookies of one ``instance``, which its port identifies.

    Cookies are not kept apart by port, so the port is in the name and in the signature. Edges that
    share logins are one instance, with a name that they have in common.
    ``lifetime`` is in seconds; ``clock`` is wall-clock time, as it outlives the process.
    """

    def __init__(
        self,
        instance: int | str,
        lifetime: float,
        *,
        clock: Callable[[], float] = time.time,
        has_ended: Callable[[str, bytes, float], bool] = lambda _user, _id, _age: False,
    ) -> None:
        self.name = f"amiws_session_{instance}"
        self.lifetime = int(lifetime)
        self._salt = f"amiws-gevent session {instance}"
        self._clock = clock
        self._has_ended = has_ended

    def issue(
        self, user: str, ha1: bytes, session: bytes, *, secure: bool, prefix: str = ""
    ) -> str:
        """The value of a ``Set-Cookie`` header; ``secure`` when the request came by TLS."""
        value = base64_encode(user) + b"." + base64_encode(session)
        signed = self._signer(ha1).sign(value).decode("ascii")
        return self._header(signed, self.lifetime, secure=secure, prefix=prefix)

    def expire(self, *, secure: bool, prefix: str = "") -> str:
        """The same that has a browser forget it."""
        return self._header("", 0, secure=secure, prefix=prefix)

    def _header(self, value: str, lifetime: int, *, secure: bool, prefix: str) -> str:
        parts = [
            f"{self.name}={value}",
            f"Max-Age={lifetime}",
            f"Path={prefix}/",
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
        return next(iter(self.all(headers, ha1_of)), None)

    def all(self, headers: Iterable[str], ha1_of: Callable[[str], bytes | None]) -> list[Session]:
        """All valid ones."""
        sessions = (self._check_one(value, ha1_of) for value in self.sent(headers))
        return [session for session in sessions if session is not None]

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
            plain, made = self._signer(ha1).unsign(
                value, max_age=self.lifetime, return_timestamp=True
            )
            session = base64_decode(plain.partition(b".")[2])
        except (BadData, UnicodeDecodeError):
            return None
        age = max(0.0, self._clock() - made.timestamp())
        # Those without an id were made before there was one, and could not be logged out.
        if not session or self._has_ended(user, session, age):
            return None
        return Session(user, age, session)
