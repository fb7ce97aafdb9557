"""What people write in the settings, to what the plugin computes with.

Each function takes the text of the file, or a value of the right type from code, and
raises ValueError that says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from amiws_gevent.plugins import shown

# RFC 5424, tables 1 and 2; a number in a configuration is theirs, not the shifted one.
_FACILITY_NAMES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "audit", "alert", "clock"),
    *(f"local{number}" for number in range(8)),
)
_SEVERITY_NAMES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
FACILITIES: Mapping[str, int] = {name: code for code, name in enumerate(_FACILITY_NAMES)}
SEVERITIES: Mapping[str, int] = {name: code for code, name in enumerate(_SEVERITY_NAMES)}
_OTHER_NAMES = {
    "emergency": "emerg",
    "panic": "emerg",
    "critical": "crit",
    "error": "err",
    "warn": "warning",
    "informational": "info",
}

_PERIODS = {
    name: seconds
    for seconds, names in (
        (1, "s sec second"),
        (60, "m min minute"),
        (3600, "h hour"),
        (86400, "d day"),
    )
    for name in names.split()
}

_DEFAULT_PORTS = {"udp": 514, "tcp": 514, "tls": 6514}  # RFC 5426, use, RFC 5425
LONGEST_PATH = 107
"""Bytes of a local socket's path (``sun_path`` of unix(7), without its end)."""


@dataclass(frozen=True)
class Rate:
    """At most ``count`` lines in each ``seconds``; 0 lines stands for no limit."""

    count: int
    seconds: int

    def __str__(self) -> str:
        if not self.count:
            return "none"
        names = {1: "s", 60: "min", 3600: "h", 86400: "day"}
        return f"{self.count}/{names[self.seconds]}"


@dataclass(frozen=True)
class Target:
    """Where lines go: ``kind`` is local (then ``path``), udp, tcp or tls (``host``, ``port``)."""

    kind: str
    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.kind == "local":
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"

    @property
    def stream(self) -> bool:
        """Whether lines go over a connection (TCP or TLS), and not as datagrams."""
        return self.kind in ("tcp", "tls")


def facility(value: object) -> int:
    """A facility's code of RFC 5424 (0 to 23), from its name."""
    return _named(value, FACILITIES, "a facility of syslog by name, such as local0 or daemon")


def severity(value: object) -> int:
    """A severity's code of RFC 5424 (0 to 7), from its name or number."""
    if isinstance(value, str) and re.fullmatch("[0-7]", value.strip()):
        return int(value)
    return _named(value, SEVERITIES, f"a severity of syslog: {', '.join(SEVERITIES)}")


def _named(value: object, names: Mapping[str, int], what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value in names.values():
        return value
    word = str(value).strip().lower().removeprefix("log_")
    code = names.get(_OTHER_NAMES.get(word, word))
    if code is None:
        raise ValueError(f"must be {what}, not {shown(value)}")
    return code


def rate(value: object) -> Rate:
    """``20/min``, ``5/s``, ``1000/day``, or ``none``."""
    if isinstance(value, Rate):
        return value
    text = str(value).strip().lower()
    if text == "none":
        return Rate(0, 0)
    match = re.fullmatch(r"([0-9]{1,9})\s*(?:/|per)\s*([a-z]+)", text)
    if match is None or match[2] not in _PERIODS or int(match[1]) < 1:
        raise ValueError(
            "must be a number of lines in a time, such as 20/min, 5/s or 1000/day, or none, "
            f"not {shown(value)}"
        )
    return Rate(int(match[1]), _PERIODS[match[2]])


def target(value: object) -> Target:
    """``local``, the path of a socket, or ``udp://HOST``, ``tcp://HOST:PORT``, ``tls://HOST``."""
    if isinstance(value, Target):
        return value
    text = str(value).strip()
    if text.lower() == "local":
        return Target("local", "/dev/log")
    if text.startswith("/"):
        return _local(text)
    wrong = ValueError(
        "must be local, the path of a socket such as /dev/log, or udp://HOST, tcp://HOST or "
        "tls://HOST with :PORT unless it is 514 (tls: 6514), "
        f"not {shown(value, LONGEST_PATH)}"
    )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    kind = parts.scheme.lower()
    if kind not in _DEFAULT_PORTS or not host or port == 0 or not _only_host(parts):
        raise wrong
    return Target(kind, host=host, port=port or _DEFAULT_PORTS[kind])


def _only_host(parts: SplitResult) -> bool:
    """No login, path, query or fragment: nothing would be done with them."""
    return "@" not in parts.netloc and not (parts.path.strip("/") or parts.query or parts.fragment)


def _local(path: str) -> Target:
    if "\0" in path or len(path.encode()) > LONGEST_PATH:
        raise ValueError(f"is too long for a socket's path (at most {LONGEST_PATH} bytes)")
    return Target("local", path)
