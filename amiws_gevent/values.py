"""Sizes, times, paths and fingerprints of the file, for the main configuration and plugins.

Each function takes the text of the file, or a value of the right type from code, and
raises ValueError with a message that says what to write instead. The types at the
end are what models name; their JSON Schema is for editors, where YAML has made a
number of ``12345`` and where ``${NAME}`` may stand for anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

# Enough to recognise a value by, short enough for a syslog line.
SHOWN_LENGTH = 40

_SECRET_NAME = re.compile(
    r"(secret|passw(or)?d|passphrase|pwd|token|credentials?|authorization|api[_-]?key)s?",
    re.IGNORECASE,
)
# The password in scheme://user:password@host, or without the scheme.
_PASSWORD_OF_URL = re.compile(r"((?:^|//)[^/@:]*:)[^/]*@")


class Scalar(str):
    """A value's text after ``${NAME}`` was replaced, knowing how it was written.

    ``written`` is the text of the file. Where the two differ a message shows
    ``written``: what the environment holds may be a secret.
    """

    __slots__ = ("written",)

    written: str

    def __new__(cls, text: str, written: str | None = None) -> Self:
        scalar = super().__new__(cls, text)
        scalar.written = text if written is None else written
        return scalar

    @property
    def replaced(self) -> bool:
        """Whether any part of it came from the environment."""
        return self != self.written


def shown(value: object, length: int = SHOWN_LENGTH) -> str:
    """``value`` for a message: quoted, control characters escaped, shortened.

    Without the password of ``user:password@host``. Lists and mappings are named,
    not shown. Never call it with a secret.
    """
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, Scalar) and value.replaced:
        return f"what {_quoted(value.written, length)} stands for"
    return _quoted(str(value), length)


def names_secret(key: str) -> bool:
    """Whether what stands under this key is a secret by the key's name: ``api_token``."""
    return _SECRET_NAME.fullmatch(re.split(r"[_-](?!key)", key)[-1]) is not None


def _quoted(text: str, length: int) -> str:
    text = _PASSWORD_OF_URL.sub(r"\1…@", text)
    return repr(text if len(text) <= length else text[: length - 1] + "…")


KIB = 1024
LARGEST_SIZE = 1 << 50  # bytes; more is a slip of the pen, not a limit
LONGEST_TIME = 366 * 86400.0  # seconds; far below what timers of the system can hold

# What stands in the file as ${NAME} can be anything.
_REPLACED = r"\$\{"

_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)")

_SIZE_UNITS = {"": 1, "b": 1, "byte": 1, "bytes": 1} | {
    prefix + ending: KIB**power
    for power, prefix in enumerate("kmgt", 1)
    for ending in ("", "b", "ib")
}
_TIME_UNITS = {
    name: seconds
    for seconds, names in (
        (0.001, "ms millisecond milliseconds"),
        (1.0, "s sec second seconds"),
        (60.0, "m min minute minutes"),
        (3600.0, "h hour hours"),
        (86400.0, "d day days"),
    )
    for name in names.split()
} | {"": 1.0}


@dataclass(frozen=True)
class LoadContext:
    """What validation may know of the world when it reads a file.

    Without one (settings made in code) no file is looked at, and relative paths
    count from the current directory. ``beside`` is the folder of the file, from which
    plugins and all of theirs count (None: from ``base``); amiws knows only ``base``.
    """

    base: Path
    beside: Path | None = None


def base_folder(context: object) -> Path:
    """The folder that relative paths count from."""
    return context.base if isinstance(context, LoadContext) else Path.cwd()


def folder_of_file(context: object) -> Path:
    """The folder that relative paths of plugins count from."""
    beside = context.beside if isinstance(context, LoadContext) else None
    return beside or base_folder(context)


def size(value: object) -> int:
    """Bytes. ``512k``, ``512 KB`` and ``512 KiB`` are all 524,288."""
    amount = _quantity(value, _SIZE_UNITS)
    if amount is None or not 1 <= amount <= LARGEST_SIZE:
        raise ValueError(
            f"must be a size such as 1048576, 512k or 4 MiB, at least 1 byte, not {shown(value)}"
        )
    return int(amount)


def seconds(value: object) -> float:
    """Seconds; ``30``, ``30 s``, ``5 min``, ``12 h``."""
    amount = _quantity(value, _TIME_UNITS)
    if amount is None or not 0 < amount <= LONGEST_TIME:
        raise ValueError(
            "must be a time in seconds, or such as 30 s, 5 min or 12 h, more than 0 "
            f"and at most 366 days, not {shown(value)}"
        )
    return float(amount)


def delay(value: object) -> float:
    """As ``seconds``, and 0 for no wait at all."""
    return 0.0 if _quantity(value, _TIME_UNITS) == 0 else seconds(value)


def path(value: object, info: ValidationInfo) -> Path:
    """An absolute path; a relative one counts from the base folder."""
    return absolute(value, base_folder(info.context))


def absolute(value: object, base: Path) -> Path:
    """``value`` as an absolute path. ValueError for what cannot be one."""
    if isinstance(value, Path):
        return base / value
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a path, not {shown(value)}")
    try:
        usable = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise ValueError(f"must be a path that the system can hold, not {shown(value)}")
    return base / str(value)


def fingerprint(value: object) -> str:
    """The SHA-256 of a certificate: 64 lower-case hexadecimal digits, colons taken out."""
    digits = re.sub(r"^sha-?256(?: fingerprint)?[:= ]", "", str(value).strip().lower())
    digits = digits.replace(":", "").replace(" ", "")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError(
            "must be the SHA-256 of the server's certificate, 64 hexadecimal digits with or "
            f"without colons (openssl x509 -noout -fingerprint -sha256), not {shown(value)}"
        )
    return digits


def text_pattern(pattern: str) -> dict[str, Any]:
    """The JSON Schema of text that fits ``pattern``, or that a variable is part of."""
    return {"type": "string", "pattern": f"{pattern}|{_REPLACED}"}


def _quantity(value: object, units: Mapping[str, float]) -> float | None:
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value.strip())
        if match is None or match[2].lower() not in units:
            return None
        number = float(match[1]) if "." in match[1] else int(match[1])
        return number * units[match[2].lower()]
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


_SIZE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        text_pattern(
            r"^\s*[0-9]+(\.[0-9]+)?\s*([KkMmGgTt]?([Ii]?[Bb])?|[Bb][Yy][Tt][Ee][Ss]?)\s*$"
        ),
    ]
}
_TIME_PATTERN = text_pattern(r"^\s*[0-9]+(\.[0-9]+)?\s*[A-Za-z]*\s*$")
_SECONDS_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "number", "exclusiveMinimum": 0}, _TIME_PATTERN]
}
_DELAY_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "number", "minimum": 0}, _TIME_PATTERN]}
_PATH_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_FINGERPRINT_SCHEMA: dict[str, Any] = {"type": ["string", "number"]}

Size = Annotated[int, BeforeValidator(size), WithJsonSchema(_SIZE_SCHEMA)]
"""Bytes, at least 1: ``1048576``, ``512k``, ``4 MiB``; units count in 1,024s."""

Seconds = Annotated[float, BeforeValidator(seconds), WithJsonSchema(_SECONDS_SCHEMA)]
"""Seconds, more than 0: ``30``, ``500 ms``, ``5 min``, ``12 h``, ``2 days``."""

Delay = Annotated[float, BeforeValidator(delay), WithJsonSchema(_DELAY_SCHEMA)]
"""As ``Seconds``, and 0 for no wait at all."""

AnyPath = Annotated[Path, BeforeValidator(path), WithJsonSchema(_PATH_SCHEMA)]
"""A path, absolute or not, made absolute: from the folder of the configuration file."""

Fingerprint = Annotated[str, BeforeValidator(fingerprint), WithJsonSchema(_FINGERPRINT_SCHEMA)]
"""The SHA-256 of a certificate as openssl prints it, or without colons; its digits."""
