"""How a client says who it is: a bearer token, or HTTP Digest (RFC 7616, MD5 with qop=auth).

Own code, since no maintained WebSocket library has Digest, and urllib's takes ASCII alone.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.request import parse_http_list, parse_keqv_list

from amiws_gevent.errors import AmiwsError


class ClientError(AmiwsError):
    """A request that was not done, or a server that cannot be reached.

    ``code`` is one of docs/protocol.md, or ``not_connected``, ``refused`` (by its HTTP status,
    in the text), ``no_answer``, ``closed``. ``retry_after``: seconds after which the same request
    may succeed; None: it will not.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True)
class Login:
    """Either ``token``, or ``user`` and ``password``, or nothing of these."""

    user: str | None = None
    password: str = field(default="", repr=False)
    token: str | None = field(default=None, repr=False)

    def first(self) -> dict[str, str]:
        """Headers of a request before any challenge."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def answer(self, challenges: Sequence[str], target: str) -> dict[str, str] | None:
        """Headers that answer ``WWW-Authenticate`` values for a GET of ``target``; None: cannot.

        In headers each character is one byte, as in WSGI.
        """
        if self.user is None:
            return None
        for challenge in challenges:
            scheme, _, rest = challenge.partition(" ")
            given = parse_keqv_list([part for part in parse_http_list(rest) if "=" in part])
            if scheme.lower() == "digest" and given.get("algorithm", "MD5").upper() == "MD5":
                return {"Authorization": _digest(self.user, self.password, given, target)}
        return None


def _digest(user: str, password: str, given: dict[str, str], target: str) -> str:
    realm, nonce = given.get("realm", ""), given.get("nonce", "")
    cnonce, count = secrets.token_hex(8), "00000001"
    hashed = _md5(f"{user}:{_utf8(realm)}:{password}")
    response = _md5(f"{hashed}:{_utf8(nonce)}:{count}:{cnonce}:auth:{_md5(f'GET:{target}')}")
    parts = [f"username={_quote(user)}", f"realm={_quote(_utf8(realm))}"]
    parts += [f"nonce={_quote(_utf8(nonce))}", f"uri={_quote(target)}", f'response="{response}"']
    parts += ["algorithm=MD5", "qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
    if "opaque" in given:
        parts.append(f"opaque={_quote(_utf8(given['opaque']))}")
    return "Digest " + ", ".join(parts).encode().decode("latin-1")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _utf8(header: str) -> str:
    """The text of a header, of which each character is one byte, as in WSGI."""
    return header.encode("latin-1").decode("utf-8", "replace")


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
