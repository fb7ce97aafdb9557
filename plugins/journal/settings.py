"""The settings of ``journal``, and which messages they choose."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import (
    AnyPath,
    PluginSettings,
    Seconds,
    ServerInfo,
    SettingError,
    Size,
)

from .._matching import Names, NameSet, Servers, ServerSet, written_as

SMALLEST_FILE = 64 * 1024

_NEVER = ("no", "never", "off", "false")


def _none_if_never(value: object) -> object:
    return None if str(value).strip().lower() in _NEVER else value


def _listed(value: object) -> object:
    """``3``, ``3, 4`` and ``[3, 4]`` alike."""
    return value.split(",") if isinstance(value, str) else value


def _daily(value: object) -> object:
    word = str(value).lower()
    return "no" if word in _NEVER else word


Prefix = Annotated[
    str,
    written_as(
        r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}",
        "1 to 100 letters (A to Z, a to z), digits, _, . or -, not beginning with . or -",
    ),
]


class Settings(PluginSettings):
    """See the module ``amiws_plugins.journal`` for an example of all."""

    folder: AnyPath = Field(
        description="Folder for the files, of this journal alone; created if its parent exists."
    )
    prefix: Prefix = Field("amiws", description="Beginning of the names of files.")
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
    compress: bool = Field(True, description="Compress finished files with gzip.")
    flush_interval: Seconds = Field(
        1.0, ge=0.01, le=3600, description="Most seconds until a message is in its file."
    )
    fsync_interval: Annotated[Seconds | None, BeforeValidator(_none_if_never)] = Field(
        10.0, ge=0.1, le=3600, description="Most seconds until it is on the disk; no: no fsync."
    )
    buffer: Size = Field(
        4 * 1024**2,
        ge=SMALLEST_FILE,
        le=1024**3,
        description="Bytes of messages that are kept in memory while they cannot be written.",
    )
    servers: Servers = Field((), description="Servers by name, pattern or id; none: all.")
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
            raise SettingError(
                "max_total",
                f"must be at least 3 times max_file_size: {3 * self.max_file_size} bytes, "
                f"not {self.max_total}",
            )
        return self

    @model_validator(mode="after")
    def _folder_can_be_made(self) -> Settings:
        """As --check is to find what the start would stumble over."""
        folder, parent = self.folder, self.folder.parent
        try:
            is_else = folder.exists() and not folder.is_dir()
            can_be_made = parent.is_dir()
        except OSError as error:
            why = f"{folder} cannot be accessed: {error.strerror}"
            raise SettingError("folder", why) from None
        if is_else:
            raise SettingError("folder", f"{folder} is not a folder")
        if not can_be_made:
            raise SettingError("folder", f"{folder} cannot be created: there is no folder {parent}")
        return self


class Selection:
    """Which messages a journal keeps: the rules of the settings, compiled."""

    def __init__(self, settings: Settings) -> None:
        self._types = frozenset(settings.types or Kind)
        self._servers = ServerSet(settings.servers)
        self._events = NameSet(settings.events or ("*",))
        self._except = NameSet(settings.except_events)

    def accepts(self, message: Message, server: ServerInfo) -> bool:
        """Whether the message is kept; rules for events do not hold back others."""
        if message.kind not in self._types or not self._servers.fits(server):
            return False
        if message.kind is not Kind.EVENT:
            return True
        return self._events.fits(message.name) and not self._except.fits(message.name)
