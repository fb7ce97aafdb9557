"""What a plugin can have of the program: answers of servers, events of its own, the live state.

The program gives `Facilities` to the roster; plugins never see it, they have `PluginContext`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from amiws_gevent.ami import Message
from amiws_gevent.errors import AmiwsError
from amiws_gevent.plugins.api import ServerInfo

BAD_REQUEST = "bad_request"  # it is no action that could be sent
ACTION_REFUSED = "action_refused"  # it would end or change the session that all clients share
UNKNOWN_SERVER = "unknown_server"
UNREACHABLE = "unreachable"  # nothing was sent: the server is not connected, or does not read
UNKNOWN = "unknown"  # sent, and the connection was lost: it may be done or not
TOO_MANY = "too_many"  # that this plugin waits for at once
NOT_HERE = "not_here"  # a message hook, or one for entities, may not wait


class AskError(AmiwsError):
    """There is no answer; ``code`` is one of the codes above, ``str()`` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Answer:
    """What a server has answered: all of it, or what came in time."""

    server: int
    response: Message | None
    """None if none came."""
    items: Sequence[Message] = ()
    """Of a list: its events, without the one that ends it."""
    end: Message | None = None
    """The event that ended the list."""
    output: Sequence[str] = ()
    """The lines that a command has printed."""
    complete: bool = True
    reason: str = ""
    """Why it is not complete."""
    refusal: str = ""
    """What the server says against it; "" if it has done it."""

    @property
    def ok(self) -> bool:
        """Whether the server has done it, and all of the answer is here."""
        return self.complete and not self.refusal


class State(Protocol):
    """The live state as clients see it; what you get is yours to change."""

    @property
    def servers(self) -> Mapping[int, ServerInfo]:
        """By id, all that there is a state of; 0 is this program, which has the kind ``server``."""

    def get(self, server: int, kind: str, id: str, /) -> dict[str, Any] | None:  # noqa: A002
        """The fields of an entity; None if there is none."""

    def of(self, server: int, kind: str, /) -> Mapping[str, dict[str, Any]]:
        """The fields of all entities of a kind now, by id; each is copied when it is read."""


class Facilities(Protocol):
    """What the program gives."""

    @property
    def state(self) -> State: ...

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        """Send an action and wait for its answer. Raises AskError."""

    def publish(self, event: Message) -> bool:
        """Take an event for clients; never waits. Whether there was room."""

    def entities(self, server: int) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
        """Kind, id and fields of all that clients see of a server now; not to be changed."""

    def show_anew(self) -> None:
        """Plugins may make something else of entities than before: ask them again for all."""


class NoState:
    """Of a program without one."""

    @property
    def servers(self) -> Mapping[int, ServerInfo]:
        return {}

    def get(self, _server: int, _kind: str, _id: str, /) -> dict[str, Any] | None:
        return None

    def of(self, _server: int, _kind: str, /) -> Mapping[str, dict[str, Any]]:
        return {}


class NoFacilities:
    """Where there is no program around the plugins."""

    def __init__(self) -> None:
        self.state = NoState()

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        raise AskError(UNKNOWN_SERVER, f"server {server}: there is no server")

    def publish(self, event: Message) -> bool:
        return False

    def entities(self, server: int) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
        return ()

    def show_anew(self) -> None:
        """There is nobody to show anything."""
