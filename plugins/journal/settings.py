"""The settings of ``journal``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from amiws_gevent.pluginapi import PluginSettings

from .._matching import Names

SMALLEST_FILE = 64 * 1024

_SIZE = re.compile(
    r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(?:([kmgt])(?:i?b)?|b|bytes?)?", re.IGNORECASE
)
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s|sec|seconds?|min|minutes?|h|hours?)?")
_NEVER = ("no", "never", "off", "false")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _size(value: object) -> int:
    """Bytes: ``64 MiB``, ``512k``; all units count in 1,024s, as in the rest of the file."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"must be a size such as 64 MiB or 512k, not {value!r}")
    power = " kmgt".index(match[2].lower()) if match[2] else 0
    return int(float(match[1]) * 1024**power)


def _seconds(value: object) -> float:
    match = _TIME.fullmatch(str(value).strip().lower())
    if match is None:
        raise ValueError(f"must be a time such as 500 ms, 10 s or 5 min, not {value!r}")
    unit = match[2] or "s"
    return float(match[1]) * _SECONDS["ms" if unit == "ms" else unit[0]]


def _seconds_or_never(value: object) -> float | None:
    if value is None or str(value).strip().lower() in _NEVER:
        return None
    return _seconds(value)


def _listed(value: object) -> object:
    """``3``, ``3, 4`` and ``[3, 4]`` alike."""
    return value.split(",") if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path, such as /var/log/amiws-gevent, not {path}")
    return path


def _daily(value: object) -> object:
    word = str(value).lower()
    return "no" if word in _NEVER else word


Size = Annotated[int, BeforeValidator(_size)]


class Settings(PluginSettings):
    """See the module ``amiws_plugins.journal`` for an example of all."""

    folder: Annotated[Path, AfterValidator(_absolute)] = Field(
        description="Folder for the files, absolute; made if its parent is there. For one journal."
    )
    prefix: str = Field(
        "amiws",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$",
        description="What names of files begin with.",
    )
    max_file_size: Size = Field(
        64 * 1024**2, ge=SMALLEST_FILE, description="Bytes (64 MiB, 512k) of one file, unpacked."
    )
    max_total: Size = Field(
        1024**3,
        description="Bytes of all files together, at least 3 times max_file_size; past it the "
        "oldest finished ones are removed.",
    )
    daily: Annotated[Literal["utc", "local", "no"], BeforeValidator(_daily)] = Field(
        "utc", description="Begin a new file at midnight: utc, local time, or no."
    )
    compress: bool = Field(True, description="Pack finished files with gzip.")
    flush_interval: Annotated[float, BeforeValidator(_seconds)] = Field(
        1.0, ge=0.01, le=3600, description="Seconds in which a message reaches its file."
    )
    fsync_interval: Annotated[float | None, BeforeValidator(_seconds_or_never)] = Field(
        10.0, ge=0.1, le=3600, description="Seconds in which it reaches the disk; no: no fsync."
    )
    buffer: Size = Field(
        4 * 1024**2,
        ge=SMALLEST_FILE,
        le=1024**3,
        description="Bytes of messages that are kept in memory while they cannot be written.",
    )
    servers: Names = Field((), description="Servers by name, pattern or id; none: all.")
    events: Names = Field(
        (), description="Events by name or pattern (Queue*), in any case; none: all."
    )
    except_events: Names = Field((), description="Events by name or pattern that are left out.")
    types: Annotated[tuple[Annotated[int, Field(ge=0, le=6)], ...], BeforeValidator(_listed)] = (
        Field((), description="Types of message, 0 to 6 (3: events); none: all.")
    )

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if self.max_total < 3 * self.max_file_size:
            raise ValueError(
                f"max_total ({self.max_total} bytes) must be at least 3 times max_file_size "
                f"({self.max_file_size} bytes)"
            )
        return self
