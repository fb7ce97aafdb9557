"""What plugins are made with: the types that hooks get, read-only, and those of settings.

``Size``, ``Seconds``, ``Delay`` and ``AnyPath`` are types for fields of a plugin's settings
that read what a file says as the main configuration does; ``shown`` is for what validators of
their own say of a value that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from amiws_gevent.identity import NONE, Identity
from amiws_gevent.runtime.peers import host_of
from amiws_gevent.values import AnyPath, Delay, Seconds, Size, shown

__all__ = [
    "AnyPath",
    "ClientInfo",
    "Delay",
    "Entity",
    "Headers",
    "PluginSettings",
    "RequestInfo",
    "Seconds",
    "ServerInfo",
    "SettingError",
    "Size",
    "StateChanges",
    "shown",
]


class Headers(Mapping[str, str]):
    """The headers of one request: names without regard to case, repeats kept.

    Values are text as WSGI has it (each character one byte, Latin-1). ``get`` and
    ``[]`` join the values of a repeated name with ``", "`` (RFC 9110, section 5.3), so
    that a second ``Host`` or ``Origin`` never goes unseen.
    """

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value.strip(" \t"))

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def getall(self, name: str) -> list[str]:
        """Every value of the name in the order of the request; empty without one."""
        return list(self._values.get(name.lower(), ()))


@dataclass(frozen=True)
class RequestInfo:
    """What a decision is made on.

    ``target`` is the raw target of the request line (``/a%20b?x=1``): Digest is
    computed over it, and an unquoted path would not match. ``address`` is the client's,
    without its port. The web server puts one into the WSGI environ as ``amiws.request``.

    Behind a trusted proxy, ``address`` and ``scheme`` are what it says; ``proxy`` is its own
    address, else empty. ``prefix`` is the path below which browsers see ``target``.
    """

    method: str
    target: str
    headers: Headers
    scheme: Literal["http", "https"]
    address: str
    prefix: str = ""
    proxy: str = ""


class SettingError(ValueError):
    """For validators of a whole model: what is wrong with one of its keys.

    Pydantic knows no key for what such a validator raises; of this one the operator is
    told the key and its line. ``str()`` is ``KEY: MESSAGE``.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key
        self.message = message


@dataclass(frozen=True)
class ServerInfo:
    """An AMI server: what messages say of it in ``server_id``, ``server_name`` and ``ssl``."""

    id: int
    name: str
    ssl: bool


@dataclass(frozen=True)
class ClientInfo:
    """A client: the address of its peer, its login (None: nobody has to log in), its view.

    The login of a program with a token is ``token:NAME``. A client of the HTTP API has the view
    ``http``, or ``state`` or ``events`` of a stream. ``kind`` is that of its login: ``none``,
    ``digest``, ``token`` or ``proxy``.
    """

    address: str
    user: str | None
    view: str
    kind: str = NONE

    @property
    def identity(self) -> Identity:
        """Who it is; its address without a port."""
        return Identity(self.user, self.kind, host_of(self.address))


Entity = dict[str, Any]
"""``server``, ``kind``, ``id`` and fields."""


@dataclass(frozen=True)
class StateChanges:
    """What has changed of one server's state, as clients get it.

    ``set``: entities with ``server``, ``kind``, ``id``, and all fields of one that is new, else
    those that changed. ``unset``: ``server``, ``kind`` and ``id`` of those that are gone, with
    ``last`` where there is more to say of one. ``whole``: ``set`` is all that there is; what you
    know of this server besides is gone. All of it is yours.
    """

    set: Sequence[Entity]
    unset: Sequence[Entity]
    whole: bool = False


class PluginSettings(BaseModel):
    """Base of a plugin's settings: unknown keys are errors, instances are frozen.

    Equal settings are what lets a reload leave a plugin alone. Secrets belong
    into ``pydantic.SecretStr``, which no error and no listing shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
