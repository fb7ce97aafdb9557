"""Values as people write them in YAML, to values as the program uses them.

Each function takes the text of the file (or a value of the right type, from
code) and raises ValueError with a message that says what to write instead.
None of them reads a file, and none is ever given a secret.
"""

from __future__ import annotations

import codecs
import ipaddress
import re
from collections.abc import Iterable, Mapping

from amiws_gevent.values import shown

_DIGITS = re.compile(r"[0-9]{1,18}")
_FLAGS = {
    **dict.fromkeys(("yes", "on", "true", "1"), True),
    **dict.fromkeys(("no", "off", "false", "0"), False),
}

# sys/syslog.h: a facility is its number shifted left by three bits.
_FACILITY_NAMES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "", "", "", ""),
    *(f"local{number}" for number in range(8)),
)
FACILITIES: Mapping[str, int] = {
    name: number << 3 for number, name in enumerate(_FACILITY_NAMES) if name
}
LARGEST_FACILITY = (len(_FACILITY_NAMES) - 1) << 3

LEVELS: Mapping[str, int] = {
    "emerg": 0,
    "alert": 1,
    "crit": 2,
    "err": 3,
    "warning": 4,
    "notice": 5,
    "info": 6,
    "debug": 7,
}
# Other programs' spellings, and that of amiws's own sample (LOG_KERNEL).
_OTHER_NAMES = {
    "kernel": "kern",
    "emergency": "emerg",
    "panic": "emerg",
    "critical": "crit",
    "error": "err",
    "warn": "warning",
}


def whole_number(value: object, low: int, high: int) -> int:
    """A whole number in decimal digits, within bounds that belong to it."""
    number = _digits(value)
    if number is None or not low <= number <= high:
        raise ValueError(f"must be a whole number from {low} to {high}, not {shown(value)}")
    return number


def flag(value: object) -> bool:
    """yes/no, on/off, true/false or 1/0, in any case."""
    word = str(value).lower() if isinstance(value, str | bool | int) else ""
    if word not in _FLAGS:
        raise ValueError(f"must be yes or no, not {shown(value)}")
    return _FLAGS[word]


def facility(value: object) -> int:
    """A syslog facility as in sys/syslog.h: the shifted number, from it or a name."""
    if isinstance(value, str) and (named := _named(value, FACILITIES)) is not None:
        return named
    number = _digits(value)
    if number is not None and number <= LARGEST_FACILITY and number % 8 == 0:
        return number
    hint = ""
    if number is not None and 0 < number < len(_FACILITY_NAMES):
        hint = f"; did you mean {number << 3}? Facility numbers are multiples of 8"
    raise ValueError(
        "must be a facility of syslog, by name (local0, daemon, LOG_SYSLOG) or as the number "
        f"in sys/syslog.h (40, 128), not {shown(value)}{hint}"
    )


def level(value: object) -> int:
    """A syslog priority, 0 (emergency) to 7 (debug), from a number or a name."""
    if isinstance(value, str) and (named := _named(value, LEVELS)) is not None:
        return named
    number = _digits(value)
    if number is None or number > max(LEVELS.values()):
        raise ValueError(
            f"must be a priority of syslog, 0 to 7 or {', '.join(LEVELS)}, not {shown(value)}"
        )
    return number


def event_names(value: object) -> frozenset[str]:
    """Whole names of events, casefolded; empty for all events.

    amiws looks for an event's name anywhere in the string, so any sign between
    the names does: here everything that cannot be part of a name separates.
    """
    return frozenset(name.casefold() for name in event_words(value))


def event_words(value: object) -> list[str]:
    """The names as they are written, in their order."""
    words: list[str] = []
    for text in _texts(value, "names of events"):
        if re.search(r"\w[*?]|[*?]\w", text):
            raise ValueError(f"must be whole names of events, not patterns: {shown(text)}")
        words += re.findall(r"[\w.-]*\w[\w.-]*", text)
    return words


def encoding(value: object) -> str:
    """The name of a codec of Python's in which ASCII is ASCII, in Python's spelling."""
    name = str(value)
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        raise ValueError(
            "must be an encoding that Python knows, such as latin-1, cp1251 or gb18030, "
            f"not {shown(value)}"
        ) from None
    if not _extends_ascii(name):
        raise ValueError(
            "must be an encoding that has ASCII unchanged (AMI's header names are ASCII), "
            f"such as latin-1 or cp1251, not {shown(value)}"
        )
    return found.name


def origins(value: object) -> tuple[str, ...]:
    """Origins as browsers send them (RFC 6454 section 6.1), in the order given, once each."""
    found: dict[str, None] = {}
    for text in _texts(value, "origins"):
        found.update(dict.fromkeys(origin(word) for word in re.split(r"[\s,]+", text) if word))
    return tuple(found)


_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?/?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(value: str) -> str:
    """``scheme://host[:port]`` in lower case, without the scheme's own port; or ``*``."""
    if value == "*":
        return value
    match = _ORIGIN.fullmatch(value.lower())
    host = _origin_host(match[2]) if match else None
    if match is None or host is None or int(match[3] or 1) not in range(1, 65536):
        raise ValueError(
            "must be origins such as https://wallboard.example.com or http://10.0.0.5:8080 "
            f'(scheme, host and port, no path or pattern), or "*" for all, not {shown(value)}'
        )
    scheme, port = match[1], match[3]
    if port is None or _DEFAULT_PORTS.get(scheme) == int(port):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def hosts(value: object) -> tuple[str, ...]:
    """Names of hosts as browsers write them in ``Host``, in the order given, once each."""
    found: dict[str, None] = {}
    for text in _texts(value, "names of hosts"):
        found.update(dict.fromkeys(host(word) for word in re.split(r"[\s,]+", text) if word))
    return tuple(found)


_HOST = re.compile(r"(\*\.|\.)?(\[[0-9a-f:.]+\]|[\w-]+(?:\.[\w-]+)*)\.?(?::[0-9]{1,5})?")


def host(value: str) -> str:
    """A name in lower case, without a port; before it ``.`` or ``*.``; or ``*``."""
    if value == "*":
        return value
    match = _HOST.fullmatch(value.lower())
    name = _origin_host(match[2]) if match else None
    if match is None or name is None or (match[1] and name.startswith("[")):
        raise ValueError(
            "must be names such as pbx.example.com, .example.com (that and all below it) or "
            f'*.example.com (all below it alone), or "*" for all, not {shown(value)}'
        )
    return (match[1] or "") + name


IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(value: object) -> tuple[IpNetwork, ...]:
    """Addresses and networks, as a list or separated by commas, once each."""
    found: dict[IpNetwork, None] = {}
    items = value if isinstance(value, list | tuple) else [value]
    if all(isinstance(item, ipaddress.IPv4Network | ipaddress.IPv6Network) for item in items):
        return tuple(items)
    for text in _texts(value, "addresses and networks"):
        found.update(dict.fromkeys(network(word) for word in re.split(r"[\s,]+", text) if word))
    return tuple(found)


def network(value: str) -> IpNetwork:
    """``10.0.0.1``, ``10.0.0.0/8``, ``2001:db8::/32``; an address is a network of one."""
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(
            "must be addresses such as 127.0.0.1 or networks such as 10.1.0.0/16 or "
            f"2001:db8::/32 (no names, and no bits behind the mask), not {shown(value)}"
        ) from None


LONGEST_PREFIX = 200
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


def path_prefix(value: object) -> str:
    """A path below which the pages are: ``/amiws``; empty for none. It is put into headers."""
    text = str(value).strip().rstrip("/")
    if text and (len(text) > LONGEST_PREFIX or not _PREFIX.fullmatch(text)):
        raise ValueError(
            "must be a path such as /amiws or /tools/amiws, of letters, digits and . _ ~ -, not "
            f"{shown(value)}"
        )
    return text


_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
# They have a meaning of their own, or every client may send them through a proxy.
_TAKEN_HEADERS = frozenset(
    (
        *("authorization", "cookie", "connection", "content-length", "content-type", "expect"),
        *("forwarded", "host", "origin", "referer", "sec-fetch-site", "transfer-encoding"),
        *("upgrade", "x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix"),
        "x-forwarded-proto",
    )
)


def header_name(value: object) -> str:
    """The name of a header of requests in which a proxy says who has logged in."""
    text = str(value)
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError(
            "must be the name of a header such as Remote-User or X-Forwarded-User (letters, "
            f"digits, hyphens), not {shown(value)}"
        )
    if text.lower() in _TAKEN_HEADERS:
        raise ValueError(f"must be a header of its own, not {shown(value)}")
    return text


def proxy_headers(value: object) -> str:
    family = str(value).lower()
    if family not in ("x-forwarded", "forwarded"):
        raise ValueError(f"must be x-forwarded or forwarded, not {shown(value)}")
    return family


_LOGOUT_URL = re.compile(
    r"(?:https?://[A-Za-z0-9.:\[\]-]+)?/[\x21-\x7e]*|https?://[A-Za-z0-9.:\[\]-]+"
)


def logout_url(value: object) -> str:
    """A path of this site, or an http(s) URL. A browser is sent there: no ``javascript:``."""
    text = str(value)
    if len(text) > 2000 or not _LOGOUT_URL.fullmatch(text) or text.startswith("//"):
        raise ValueError(
            "must be a path such as /oauth2/sign_out, or a URL that begins with https:// or "
            f"http://, not {shown(value)}"
        )
    return text


def _origin_host(host: str) -> str | None:
    """As browsers write it: IPv6 in its short form, names in their IDNA form."""
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        return host.encode("idna").decode()
    except ValueError:
        return None


def _texts(value: object, what: str) -> list[str]:
    """A string, or a list of strings, as a list of strings."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, Mapping | bytes):
        raise ValueError(f"must be {what}, as a list or separated by commas")
    texts = list(items)
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"must be {what}, all of them text, not {shown(text)}")
    return texts


def _digits(value: object) -> int | None:
    """The number that ``value`` is or spells; None for anything else, True and False too."""
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _named(value: str, names: Mapping[str, int]) -> int | None:
    word = value.strip().lower().removeprefix("log_")
    return names.get(_OTHER_NAMES.get(word, word))


def _extends_ascii(name: str) -> bool:
    """Whether printable ASCII stays itself and no byte is past ``errors="replace"``.

    The samples with backslashes come first: decoding a wrong escape with
    ``unicode_escape`` would warn.
    """
    samples = (rb"\n", rb"\u0041", b"~{", bytes(range(0x20, 0x7F)))
    try:
        same = all(sample.decode(name) == sample.decode("ascii") for sample in samples)
        return same and isinstance(bytes(range(0x80, 0x100)).decode(name, "replace"), str)
    except (LookupError, UnicodeError):
        return False
