"""One connection to Redis, and what its errors mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from gevent import socket
from redis.backoff import NoBackoff
from redis.retry import Retry

from amiws_gevent.bus.scripts import ALL, Argument, Command
from amiws_gevent.config import Redis, RedisAddress
from amiws_gevent.errors import AmiwsError
from amiws_gevent.runtime import tls

CONNECT_TIME = 5.0
"""Seconds for a connection and, once more, for the login."""

_LONGEST_REASON = 300


class Away(AmiwsError):
    """Redis cannot be used now; ``str()`` says why, and what to do.

    ``asked``: whether what was asked had been sent, at least in part, and may have been done.
    """

    def __init__(self, reason: str, *, asked: bool = False) -> None:
        super().__init__(reason)
        self.asked = asked


@dataclass(frozen=True)
class Refusal:
    """The reply of Redis to a command that it does not do, in words for the log."""

    reason: str


class _Wire(Protocol):
    """What is used of a connection of redis-py, which has no types for it."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def pack_commands(self, commands: Sequence[Command]) -> list[bytes]: ...
    def send_packed_command(self, command: list[bytes], check_health: bool) -> None: ...
    def read_response(self) -> Any: ...


class _Connection(redis.Connection):
    """redis-py's, over a socket of gevent: it waits as links do, and has their words for TLS."""

    def __init__(self, address: RedisAddress, context: tls.ClientContext | None, **options: Any):
        self._address = address
        self._context = context
        super().__init__(host=address.host, port=address.port, **options)

    def _connect(self) -> socket.socket:
        address = self._address
        if not address.path:
            made = socket.create_connection((address.host, address.port), CONNECT_TIME)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        else:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(CONNECT_TIME)
            try:
                made.connect(address.path)
            except BaseException:
                made.close()
                raise
        if self._context is not None:
            made = self._context.wrap_socket(made, server_hostname=address.host)
        made.settimeout(self.socket_timeout)
        return made


class Connection:
    """Commands to Redis and its replies, as redis-py reads them: bytes, int, None, lists of these.

    Nothing is ever asked twice. ``name`` is what CLIENT LIST shows. ``patience`` is how long
    a reply may take, in seconds. Not for two greenlets at once.
    """

    def __init__(self, settings: Redis, name: str, patience: float) -> None:
        self._settings = settings
        self._name = name
        self._patience = patience
        self._wire: _Wire | None = None

    def open(self) -> None:
        """Connect, log in, load the scripts. Raises Away."""
        try:
            self._wire = self._made()
            self._wire.connect()
        except (redis.RedisError, OSError) as error:
            self.close()
            raise Away(explain(error, CONNECT_TIME)) from error
        for reply in self.ask_all([("SCRIPT", "LOAD", script.text) for script in ALL]):
            if isinstance(reply, Refusal):
                raise Away(reply.reason)

    def close(self) -> None:
        """Also in the middle of a reply."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.disconnect()

    def ask(self, *command: Argument) -> Any:
        """The reply to one command. Raises Away, also if Redis refuses it."""
        (reply,) = self.ask_all([command])
        if isinstance(reply, Refusal):
            raise Away(reply.reason)
        return reply

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to several commands that are sent at once; a Refusal where one is refused."""
        wire = self._wire
        if wire is None:
            raise Away("it is not connected")
        packed = wire.pack_commands(commands)
        try:
            wire.send_packed_command(packed, check_health=False)
            return [self._reply(wire) for _ in commands]
        except (redis.RedisError, OSError) as error:
            self.close()
            raise Away(explain(error, self._patience), asked=True) from error
        except BaseException:  # a greenlet that is killed: the rest of the reply would be next
            self.close()
            raise

    def _reply(self, wire: _Wire) -> Any:
        try:
            return wire.read_response()
        except redis.ResponseError as error:
            return Refusal(explain(error, self._patience))

    def _made(self) -> _Wire:
        settings, address = self._settings, self._settings.url
        context = None
        if address.tls:
            context = tls.client_context(
                ca=settings.ssl_ca, cert=settings.ssl_cert, key=settings.ssl_key
            )
        made: _Wire = _Connection(
            address,
            context,
            db=address.database,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            client_name=self._name,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=self._patience,
        )
        return made


# How replies begin, and what to do about it.
_REPLIES = (
    ("WRONGPASS", "it refuses the login: look at username and password of redis"),
    ("invalid username-password", "it refuses the login: look at username and password of redis"),
    ("NOAUTH", "it asks for a login: set username and password_file of redis"),
    ("Authentication required", "it asks for a login: set username and password_file of redis"),
    ("NOPERM", "its ACL does not permit this user what the program needs (see docs/redis.md)"),
    ("No permission", "its ACL does not permit this user what the program needs"),
    ("this user has no permissions", "its ACL does not permit this user what the program needs"),
    ("OOM", "it has no memory left: give it more maxmemory, with maxmemory-policy noeviction"),
    ("command not allowed when used memory", "it has no memory left: give it more maxmemory"),
    ("MISCONF", "it cannot write its data to the disk, and refuses to change any"),
    ("READONLY", "it is a replica: let url of redis name the primary"),
    ("You can't write against a read only", "it is a replica: let url of redis name the primary"),
    ("WRONGTYPE", "a key holds something else: give redis a prefix of its own"),
    ("unknown command", "it is too old: Redis 7.0 or newer, or Valkey, is needed"),
    ("NOSCRIPT", "it has lost the scripts"),
    ("No matching script", "it has lost the scripts"),
)


def explain(error: Exception, patience: float) -> str:
    """An error of redis-py, or of the socket under it, in words for the log."""
    text = str(error)[:_LONGEST_REASON]
    if isinstance(error, redis.TimeoutError):
        return f"it does not answer within {patience:.2g} s"
    if isinstance(error, redis.BusyLoadingError):
        return "it is loading its data"
    for word, meaning in _REPLIES:
        if word in text:
            return f"{meaning} ({text})"
    if "Connection closed by server" in text:
        return "the connection is lost"
    cause = error.__context__
    if isinstance(error, tls.TlsFileError):
        return text
    if isinstance(error, redis.ConnectionError) and isinstance(cause, OSError):
        error = cause
    if isinstance(error, BrokenPipeError | ConnectionResetError):
        return "the connection is lost"
    return tls.explain(error) if isinstance(error, OSError) else text
