"""The types of the configuration's values: how each is read, and what editors accept for it.

Every type has two halves. The validator takes the text of the file (all values
of the file arrive as text) or the right Python value from code. The JSON Schema
says what an editor may see there, where YAML has already made a number of
``12345`` and where ``${NAME}`` may stand for anything.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    SkipValidation,
    ValidationInfo,
    WithJsonSchema,
)

from amiws_gevent import values
from amiws_gevent.config import units
from amiws_gevent.config.queueday import QueueDay, queue_day
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.values import shown, text_pattern

# Asterisk takes lines of at most 1,024 bytes; the rest is for "Username: " and CRLF.
LONGEST_LOGIN_TEXT = 1000

BOTH, COLLECTOR, EDGE = PROCESSES = ("both", "collector", "edge")
"""What a process may be."""

AUTO: Literal["auto"] = "auto"
MOST_WORKERS = 128

# What would break a line of a log or a header: C0, C1 and Unicode's own line ends.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_TEXT_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean"]}


class ListenAddress(NamedTuple):
    """Where to listen; ``host`` is empty for all interfaces."""

    host: str
    port: int


def _number_schema(low: int, high: int) -> dict[str, Any]:
    number = {"type": "integer", "minimum": low, "maximum": high}
    return {"anyOf": [number, text_pattern("^[0-9]+$")]}


def _any_case(words: list[str]) -> str:
    """A pattern for whole words in any case; JSON Schema has no flag for that."""
    spelt = ("".join(f"[{c.upper()}{c}]" if c.isalpha() else c for c in word) for word in words)
    return f"^({'|'.join(spelt)})$"


def _within(low: int, high: int) -> Callable[[object], int]:
    return lambda value: units.whole_number(value, low, high)


def text(value: object) -> str:
    """Text that is not empty and has no control characters."""
    plain = _plain(value, shown(value))
    if _CONTROLS.search(plain):
        raise ValueError(f"must not contain control characters: {shown(value)}")
    return plain


def login_text(value: object) -> str:
    """A user name: text that fits into one line of AMI."""
    return _login_line(value, shown(value))


def secret(value: object) -> SecretStr:
    """A secret: as ``login_text``, and no message ever shows any of it."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return SecretStr(_login_line(value, "a list or mapping; put it in quotes"))


def host_name(value: object) -> str:
    """A name or an address; IPv6 with or without brackets, kept without."""
    name = text(value)
    name = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if re.fullmatch(r"[\w.-]+", name) or _is_ipv6(name):
        return name
    raise ValueError(
        f"must be a host name or an address without a port (it has its own key), not {shown(value)}"
    )


def listen_host(value: object) -> str:
    """As ``host_name``; empty or ``*`` for all interfaces, kept as empty."""
    return "" if value in ("", "*") else host_name(value)


def listen_address(value: object) -> ListenAddress:
    """``HOST:PORT``; an IPv6 address in brackets, no host or ``*`` for all interfaces."""
    if isinstance(value, ListenAddress):
        return value
    host, colon, port = str(value).rpartition(":")
    if not (isinstance(value, str) and colon) or (":" in host and not host.startswith("[")):
        raise ValueError(
            f"must be HOST:PORT, such as 127.0.0.1:9090 or [::1]:9090, not {shown(value)}"
        )
    return ListenAddress(listen_host(host), units.whole_number(port, 0, 65535))


def token_name(value: object) -> str:
    """What the log and hooks call a program by, after ``token:``."""
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            "must be a name of up to 64 letters, digits, dots, hyphens and underscores, "
            f"not {shown(value)}"
        )
    return name


def token_hash(value: object) -> str:
    """``sha256:`` and 64 hexadecimal digits, kept in lower case.

    A plain hash is enough: the tokens of ``--token`` are 256 random bits, which nobody can try
    through. It shows nothing of what is wrong, since that may be the token itself.
    """
    found = re.fullmatch(r"sha256:([0-9a-f]{64})", str(value).strip().lower())
    if found is None:
        raise ValueError(
            "must be the line that `amiws-gevent --token NAME` prints: sha256: and 64 "
            "hexadecimal digits (not the token itself)"
        )
    return found[0]


def realm(value: object) -> str:
    """A realm that a line of an htdigest file and a quoted string of HTTP can hold."""
    name = text(value)
    if re.search(r'[:"\\]', name):
        raise ValueError(f"must not contain a colon, a quote or a backslash: {shown(value)}")
    return name


def login_method(value: object) -> str:
    method = str(value).lower()
    if method not in ("plain", "md5"):
        raise ValueError(f"must be plain or md5, not {shown(value)}")
    return method


def country(value: object) -> str:
    """Two letters of ISO 3166-1 in capitals. Norway is ``NO``, which is text here too."""
    letters = text(value).upper()
    if not re.fullmatch(r"[A-Z]{2}", letters):
        raise ValueError(f"must be a country's two letters, such as DE, not {shown(value)}")
    return letters


def trunk_prefix(value: object) -> str:
    """Digits, or nothing."""
    digits = str(value)
    if not re.fullmatch(r"[0-9]{0,8}", digits):
        raise ValueError(f"must be up to 8 digits, not {shown(value)}")
    return digits


def slow_clients(value: object) -> str:
    policy = str(value).lower()
    if policy not in ("close", "drop"):
        raise ValueError(f"must be close or drop, not {shown(value)}")
    return policy


def process(value: object) -> str:
    """What a process does."""
    kind = str(value).lower()
    if kind not in PROCESSES:
        *first, last = PROCESSES
        raise ValueError(f"must be {', '.join(first)} or {last}, not {shown(value)}")
    return kind


def workers(value: object) -> int | Literal["auto"]:
    """How many processes serve clients; ``auto``: one for each core."""
    if isinstance(value, str) and value.lower() == AUTO:
        return AUTO
    try:
        return units.whole_number(value, 1, MOST_WORKERS)
    except ValueError:
        raise ValueError(
            f"must be auto or a number from 1 to {MOST_WORKERS}, not {shown(value)}"
        ) from None


def paths(value: object, info: ValidationInfo) -> tuple[Path, ...]:
    """Absolute paths of one path or a list of them; relative ones from the file's folder."""
    if value is None or value == "":
        return ()
    listed = value if isinstance(value, (list, tuple)) else [value]
    return tuple(values.absolute(item, values.folder_of_file(info.context)) for item in listed)


def folder(value: object, info: ValidationInfo) -> Path:
    """As ``values.path``, its links followed: the root that no request may leave."""
    return values.path(value, info).resolve()


def _plain(value: object, seen: str) -> str:
    """Text that is not empty and that can be sent out again."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {seen}")
    if not value:
        raise ValueError("must not be empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be text that can be written in UTF-8") from None
    return str(value)


def _login_line(value: object, seen: str) -> str:
    plain = _plain(value, seen)
    if re.search(r"[\r\n\0]", plain):
        raise ValueError("must be one line, without CR, LF or NUL")
    if len(plain.encode()) > LONGEST_LOGIN_TEXT:
        raise ValueError(f"must be at most {LONGEST_LOGIN_TEXT} bytes: AMI cuts longer lines")
    return plain


def _is_ipv6(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True


_FLAG_WORDS = ["yes", "no", "on", "off", "true", "false", "0", "1"]
_TEXTS_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
}
_FACILITY_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": units.LARGEST_FACILITY, "multipleOf": 8},
        {"enum": list(units.FACILITIES)},
        text_pattern("^([0-9]+|[A-Za-z][A-Za-z0-9_]*)$"),
    ]
}
_LEVEL_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 7},
        {"enum": list(units.LEVELS)},
        text_pattern("^([0-7]|[A-Za-z_]+)$"),
    ]
}
_FLAG_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, text_pattern(_any_case(_FLAG_WORDS))]
}
_LOGIN_SCHEMA: dict[str, Any] = {
    "anyOf": [{"enum": ["plain", "md5"]}, text_pattern(_any_case(["plain", "md5"]))]
}
_SLOW_CLIENTS_SCHEMA: dict[str, Any] = {
    "anyOf": [{"enum": ["close", "drop"]}, text_pattern(_any_case(["close", "drop"]))]
}
_ROLE_SCHEMA: dict[str, Any] = {
    "anyOf": [{"enum": list(PROCESSES)}, text_pattern(_any_case(list(PROCESSES)))]
}
_WORKERS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MOST_WORKERS},
        text_pattern("^([0-9]+|[aA][uU][tT][oO])$"),
    ]
}
_PROXY_HEADERS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"enum": ["x-forwarded", "forwarded"]},
        text_pattern(_any_case(["x-forwarded", "forwarded"])),
    ]
}
_QUEUE_DAY_SCHEMA = text_pattern(r"^\s*([01]?[0-9]|2[0-3]):[0-5][0-9](\s+\S+)?\s*$")
# What stands under a plugin's name is for that plugin to say.
_PLUGINS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": {"type": ["object", "null"]},
            },
        ]
    },
}
_TOKEN_HASH_SCHEMA = text_pattern("^[Ss][Hh][Aa]256:[0-9A-Fa-f]{64}$")
_LISTEN_SCHEMA = text_pattern(r"^([^:]*|\[.*\]):[0-9]+$")

Port = Annotated[int, BeforeValidator(_within(1, 65535)), WithJsonSchema(_number_schema(1, 65535))]
ListenPort = Annotated[
    int, BeforeValidator(_within(0, 65535)), WithJsonSchema(_number_schema(0, 65535))
]
ServerId = Annotated[
    int, BeforeValidator(_within(0, 2**31 - 1)), WithJsonSchema(_number_schema(0, 2**31 - 1))
]
Count = Annotated[int, BeforeValidator(_within(1, 10**9)), WithJsonSchema(_number_schema(1, 10**9))]
Facility = Annotated[int, BeforeValidator(units.facility), WithJsonSchema(_FACILITY_SCHEMA)]
Level = Annotated[int, BeforeValidator(units.level), WithJsonSchema(_LEVEL_SCHEMA)]
Flag = Annotated[bool, BeforeValidator(units.flag), WithJsonSchema(_FLAG_SCHEMA)]
Text = Annotated[str, BeforeValidator(text), WithJsonSchema(_TEXT_SCHEMA)]
UserName = Annotated[str, BeforeValidator(login_text), WithJsonSchema(_TEXT_SCHEMA)]
Secret = Annotated[SecretStr, BeforeValidator(secret), WithJsonSchema(_TEXT_SCHEMA)]
HostName = Annotated[str, BeforeValidator(host_name), WithJsonSchema(_TEXT_SCHEMA)]
ListenHost = Annotated[str, BeforeValidator(listen_host), WithJsonSchema(_TEXT_SCHEMA)]
Listen = Annotated[ListenAddress, PlainValidator(listen_address), WithJsonSchema(_LISTEN_SCHEMA)]
TokenName = Annotated[str, BeforeValidator(token_name), WithJsonSchema(_TEXT_SCHEMA)]
TokenHash = Annotated[str, BeforeValidator(token_hash), WithJsonSchema(_TOKEN_HASH_SCHEMA)]
Country = Annotated[str, BeforeValidator(country), WithJsonSchema(text_pattern("^[A-Za-z]{2}$"))]
TrunkPrefix = Annotated[
    str,
    BeforeValidator(trunk_prefix),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, text_pattern("^[0-9]{0,8}$")]}),
]
Realm = Annotated[str, BeforeValidator(realm), WithJsonSchema(_TEXT_SCHEMA)]
Login = Annotated[
    Literal["plain", "md5"], BeforeValidator(login_method), WithJsonSchema(_LOGIN_SCHEMA)
]
SlowClients = Annotated[
    Literal["close", "drop"], BeforeValidator(slow_clients), WithJsonSchema(_SLOW_CLIENTS_SCHEMA)
]
Process = Annotated[
    Literal["both", "collector", "edge"],
    BeforeValidator(process),
    WithJsonSchema(_ROLE_SCHEMA),
]
Workers = Annotated[int | Literal["auto"], PlainValidator(workers), WithJsonSchema(_WORKERS_SCHEMA)]
QueueDayOfFile = Annotated[
    QueueDay,
    PlainValidator(queue_day),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(_QUEUE_DAY_SCHEMA),
]
EventNames = Annotated[
    frozenset[str], BeforeValidator(units.event_names), WithJsonSchema(_TEXTS_SCHEMA)
]
Origins = Annotated[tuple[str, ...], BeforeValidator(units.origins), WithJsonSchema(_TEXTS_SCHEMA)]
Networks = Annotated[
    tuple[units.IpNetwork, ...],
    BeforeValidator(units.networks),
    WithJsonSchema(_TEXTS_SCHEMA),
]
HeaderName = Annotated[str, BeforeValidator(units.header_name), WithJsonSchema(_TEXT_SCHEMA)]
PathPrefix = Annotated[str, BeforeValidator(units.path_prefix), WithJsonSchema(_TEXT_SCHEMA)]
LogoutUrl = Annotated[str, BeforeValidator(units.logout_url), WithJsonSchema(_TEXT_SCHEMA)]
ProxyHeaders = Annotated[
    Literal["x-forwarded", "forwarded"],
    BeforeValidator(units.proxy_headers),
    WithJsonSchema(_PROXY_HEADERS_SCHEMA),
]
Hosts = Annotated[tuple[str, ...], BeforeValidator(units.hosts), WithJsonSchema(_TEXTS_SCHEMA)]
Encoding = Annotated[str, BeforeValidator(units.encoding), WithJsonSchema(_TEXT_SCHEMA)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(paths), WithJsonSchema(_TEXTS_SCHEMA)]
Plugins = Annotated[tuple[PluginEntry, ...], SkipValidation, WithJsonSchema(_PLUGINS_SCHEMA)]
Folder = Annotated[Path, BeforeValidator(folder), WithJsonSchema(_TEXT_SCHEMA)]
