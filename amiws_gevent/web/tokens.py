"""Tokens of programs: ``Authorization: Bearer`` (RFC 6750), with hashes in the configuration.

A token is 256 random bits. Nobody can try through so many, so a plain SHA-256 of it can be kept
without salt and without a slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from amiws_gevent.config import ApiToken

# What the user of a request with a token is called by, before its name. A user of an htdigest
# file cannot be called so, since a colon ends the name there.
USER_PREFIX = "token:"

CHALLENGE = 'Bearer realm="amiws-gevent"'
REFUSED = f'{CHALLENGE}, error="invalid_token"'

_MARK = "amiws_"  # by which people, and scanners of repositories, know one
_BYTES = 32


def make_token() -> str:
    """A new token."""
    return _MARK + secrets.token_urlsafe(_BYTES)


def hash_of(token: str) -> str:
    """The hash of a token as the configuration has it; ``token`` is text of a header."""
    return "sha256:" + hashlib.sha256(token.encode("latin-1", "replace")).hexdigest()


def bearer_of(authorization: str | None) -> str | None:
    """The token of an ``Authorization`` header; None if it is of another scheme."""
    scheme, _, token = (authorization or "").strip(" \t").partition(" ")
    return token.strip(" \t") if scheme.lower() == "bearer" else None


class Tokens:
    """The tokens of one configuration; false if there are none."""

    def __init__(self, tokens: Iterable[ApiToken]) -> None:
        self._hashes = {USER_PREFIX + token.name: token.hash.encode() for token in tokens}

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def hash(self, user: str) -> bytes | None:
        """The hash of the token of a user (``token:NAME``); None if there is no such."""
        return self._hashes.get(user)

    def user(self, token: str) -> str | None:
        """Whose token it is; None if it is nobody's. Takes as long for any token."""
        given = hash_of(token).encode()
        equal = [user for user, known in self._hashes.items() if hmac.compare_digest(known, given)]
        return equal[0] if equal else None
