"""Which web sites may open a WebSocket or use the API (RFC 6454; RFC 6455, section 10.2).

A browser lets a page of any site connect anywhere, and sends the site as ``Origin``, which
the page cannot forge. Without this check any web site that an operator visits could
control the PBX.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from amiws_gevent.plugins.api import Headers, RequestInfo

_DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@\\\s,]{1,255}))(?::([0-9]{0,5}))?")
_HOST_NAME = re.compile(r"[a-z0-9._-]+")


class Origin(NamedTuple):
    """Scheme, host and port, normalised for comparison."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = _DEFAULT_PORTS[self.scheme] == self.port
        return f"{self.scheme}://{host}" + ("" if default else f":{self.port}")


def parse_authority(text: str, scheme: str) -> Origin | None:
    """``host``, ``host:port`` or ``[v6]:port`` as in ``Host``; None if it is none of them.

    Letter case, a dot at the end, the default port and the ways to write an IPv6 address
    make no difference; a name that is not ASCII compares as its IDNA form.
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    address, name, port_text = match.groups()
    host = _normal_address(address) if address else _normal_name(name)
    port = int(port_text) if port_text else _DEFAULT_PORTS[scheme]
    if host is None or not 0 < port < 65536:
        return None
    return Origin(scheme, host, port)


def parse_origin(text: str) -> Origin | None:
    """An ``http`` or ``https`` origin; None for anything else (``null``, ``file://``, a list)."""
    scheme, separator, authority = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        return None
    return parse_authority(authority, scheme)


def _normal_address(text: str) -> str | None:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return None


def _normal_name(text: str) -> str | None:
    try:
        name = text.lower().removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    return name if _HOST_NAME.fullmatch(name) else None


class OriginPolicy:
    """``allowed`` is ``allowed_origins`` of the configuration: origins, or ``"*"`` for all.

    An entry that is no http(s) origin (an application's, ``app://panel``) is compared as
    text; ``null`` is never one, as every sandboxed page of any site sends it.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        entries = [entry.strip() for entry in allowed]
        self.all = "*" in entries
        parsed = [(parse_origin(entry.rstrip("/")), entry.lower()) for entry in entries]
        self._origins = frozenset(origin for origin, _ in parsed if origin is not None)
        self._texts = frozenset(
            text for origin, text in parsed if origin is None and text not in ("", "null", "*")
        )

    def allows(self, origins: Sequence[str], hosts: Sequence[str], scheme: str) -> bool:
        """Whether a request may go on: all its ``Origin`` and ``Host`` values, and its scheme.

        Without ``Origin`` it comes from a program, which could send any. A request with two
        of either header is always refused.
        """
        if len(origins) > 1 or len(hosts) > 1:
            return False
        if not origins or self.names(origins[0]):
            return True
        origin = parse_origin(origins[0])
        own = parse_authority(hosts[0], scheme) if hosts else None
        return origin is not None and origin == own

    def names(self, text: str) -> bool:
        """Whether an ``Origin`` is among ``allowed_origins``, whatever ``Host`` is."""
        return self.all or self.lists(text)

    def lists(self, text: str) -> bool:
        """As ``names``, without what ``"*"`` allows."""
        origin = parse_origin(text)
        return text.lower() in self._texts if origin is None else origin in self._origins


_PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, POST"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID",
    ),
    ("Access-Control-Max-Age", "600"),
)
_EXPOSED = ("Access-Control-Expose-Headers", "ETag, Retry-After, WWW-Authenticate")


class CrossOrigin:
    """What browsers are told and asked about pages of other sites that use the API (CORS).

    A site that ``allowed_origins`` lists may act with the login of the browser's user. With
    ``"*"`` any site may ask, but not with that login: who allows all cannot mean that each
    page that a user visits may act for him. Such a page needs a token of its own.
    """

    def __init__(self, origins: OriginPolicy) -> None:
        self._origins = origins

    def is_foreign(self, headers: Headers) -> bool:
        """Whether the browser says that a page of another site asks, without an allowed Origin.

        A page cannot forge ``Sec-Fetch-Site``; programs and old browsers do not send it.
        """
        site = headers.get("Sec-Fetch-Site", "same-origin").strip().lower()
        if site in ("same-origin", "none"):
            return False
        origins = headers.getall("Origin")
        return not (origins and self._origins.names(origins[0]))

    def headers(self, origins: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """What an answer says to a page of the one origin of its request."""
        vary = (("Vary", "Origin"),)
        if len(origins) != 1 or not self._origins.names(origins[0]):
            return vary
        if not self._origins.lists(origins[0]):
            return (*vary, ("Access-Control-Allow-Origin", "*"), _EXPOSED)
        return (
            *vary,
            ("Access-Control-Allow-Origin", origins[0]),
            ("Access-Control-Allow-Credentials", "true"),
            _EXPOSED,
        )

    def preflight(self, request: RequestInfo) -> tuple[tuple[str, str], ...] | None:
        """The answer to the question of a browser whether a page may ask; None: it is none.

        Browsers send no login with it.
        """
        asked = request.headers.get("Access-Control-Request-Method")
        origins = request.headers.getall("Origin")
        if request.method != "OPTIONS" or asked is None or not origins:
            return None
        return _PREFLIGHT if self._origins.names(origins[0]) else ()
