"""Where batches go: a URL of which only scheme, host and port are ever shown."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from urllib.parse import unquote

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

_PORTS = {"http": 80, "https": 443}

_LONG_ENOUGH = 8
"""Characters from which on a part of path or query may well be a token."""


@dataclass(frozen=True, repr=False)
class Endpoint:
    """A parsed URL. ``str()`` leaves out all that may be secret: login, path and query."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query as they go on the request line."""
    login: str | None = None
    """``user:password``, decoded."""

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def loopback(self) -> bool:
        """Whether it is this machine, as far as its spelling says."""
        return self.host == "localhost" or self.host.startswith("127.") or self.host == "::1"

    @property
    def authorization(self) -> str | None:
        """The header that the login stands for (RFC 7617, in UTF-8)."""
        if self.login is None:
            return None
        return "Basic " + base64.b64encode(self.login.encode()).decode()

    def secrets(self) -> list[str]:
        """Texts of the URL that no log line may show."""
        parts = [part for part in re.split(r"[/?&=]", self.target) if len(part) >= _LONG_ENOUGH]
        if self.target != "/":
            parts.append(self.target)
        if self.login is not None:
            parts += [self.login, self.login.partition(":")[2]]
        return [form for part in parts for form in {part, unquote(part)}]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def __repr__(self) -> str:
        return f"<{self}/...>"


def parse_endpoint(url: str) -> Endpoint:
    """``https://user:password@host:port/path?query``. ValueError that shows none of it."""
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("must be a URL that begins with http:// or https://")
    try:
        parsed = parse_url(_ascii_host(url))
    except (LocationParseError, UnicodeError):
        raise ValueError("must be a URL such as https://example.com/hook") from None
    if parsed.scheme is None or not parsed.host:
        raise ValueError("must be a URL with a host, such as https://example.com/hook")
    port = _PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if port == 0:
        raise ValueError("must be a URL with a port from 1 to 65535")
    return Endpoint(
        parsed.scheme,
        parsed.host.removeprefix("[").removesuffix("]"),
        port,
        parsed.request_uri,
        None if parsed.auth is None else unquote(parsed.auth),
    )


def _ascii_host(url: str) -> str:
    """urllib3 leaves names in other scripts to a library; Python's own codec does."""
    scheme, _, rest = url.partition("://")
    end = re.search(r"[/?#]|$", rest)
    assert end is not None
    login, at, place = rest[: end.start()].rpartition("@")
    if not place.isascii():
        name, colon, port = place.partition(":")
        place = str(name.encode("idna"), "ascii") + colon + port
    return f"{scheme}://{login}{at}{place}{rest[end.start() :]}"
