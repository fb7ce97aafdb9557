"""A connection to Redis: redis-py connects and logs in, its errors in words.

Commands and replies go another way than redis-py's: a process that waits for lone entries finds no
code in the processor's cache, so what counts is how much of it there is. ``hiredis`` packs and
parses, as it does there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import gevent
import hiredis
import redis
from gevent import socket, ssl
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.connection import DefaultParser
from redis.retry import Retry

from amiws_gevent.bus.scripts import Argument, Command
from amiws_gevent.config import Endpoint, Redis
from amiws_gevent.runtime import tls

CONNECT_TIME = 5.0
"""Seconds for a connection."""

FAST_CONNECT_TIME = 2.0
"""The same where another server may have taken its place: one that is lost does not even refuse."""

_LONGEST_REASON = 300
_IN_A_SCRIPT = re.compile(r"\.? script: [0-9a-f]{40}, on @user_script:\d+\.?$")


_LARGEST_READ = 64 * 1024
_NOT_YET = object()  # a reply that is not whole
_READABLE = 1  # an event of gevent's io watchers


def packed(commands: Sequence[Command]) -> bytes:
    """Commands as they are sent."""
    pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]  # see there
    return pack(commands[0]) if len(commands) == 1 else b"".join(map(pack, commands))


class Wire:
    """Takes over a connection of redis-py that is logged in; for one greenlet at a time.

    ``patience``: the seconds that each read and write may take. `write` and `read` raise what
    `explain` has words for; then the connection is of no use any more.
    """

    def __init__(self, connection: _Connection, patience: float) -> None:
        sock: Any = connection.made
        self._connection = connection
        self._sock = sock
        # Without TLS: the non-blocking socket beneath gevent's.
        self._raw: Any = None if isinstance(sock, ssl.SSLSocket) else sock._sock
        self._buffer = bytearray(_LARGEST_READ)
        self._replies = hiredis.Reader(
            protocolError=redis.InvalidResponse,
            replyError=DefaultParser.parse_error,
            notEnoughData=_NOT_YET,
        )
        self._hub = gevent.get_hub()
        self._readable = self._hub.loop.io(sock.fileno(), _READABLE)
        # One for all reads: what gevent's timeouts make anew for each costs more than to read.
        self._timer = self._hub.loop.timer(patience, patience)
        self._waits = self._is_late = False

    def disconnect(self) -> None:
        """Close it; may be called again."""
        self._timer.close()
        self._readable.close()
        self._connection.disconnect()

    def write(self, data: bytes) -> None:
        """Send what `packed` made."""
        if self._raw is None:
            self._sock.sendall(data)
            return
        try:
            sent = self._raw.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._sock.sendall(memoryview(data)[sent:])

    def read(self, count: int) -> list[Any]:
        """So many replies: bytes, int, None, lists of these; a `redis.ResponseError` as it is."""
        replies: list[Any] = []
        while len(replies) < count:
            reply = self._replies.gets(False)
            if reply is _NOT_YET:
                self._feed()
            else:
                replies.append(reply)
        return replies

    def _feed(self) -> None:
        """Wait for bytes of replies."""
        size = self._sock.recv_into(self._buffer) if self._raw is None else self._receive()
        if not size:
            raise redis.ConnectionError("Connection closed by server.")
        self._replies.feed(self._buffer, 0, size)  # type: ignore[arg-type]  # any buffer

    def _receive(self) -> int:
        """Wait for bytes, which are hardly ever there yet; how many there are."""
        while True:
            self._waits = True
            self._timer.again(self._overdue)
            self._hub.wait(self._readable)
            self._waits = False
            if self._is_late:
                raise redis.TimeoutError("Timeout reading from socket")
            try:
                return self._raw.recv_into(self._buffer)  # type: ignore[no-any-return]
            except BlockingIOError:
                continue

    def _overdue(self) -> None:
        """Wake who waits. After a read the timer goes on: the next one starts it anew."""
        self._timer.stop()
        if self._waits:
            self._is_late = True
            with suppress(OSError):  # it is not connected any more: so it is readable
                self._raw.shutdown(socket.SHUT_RDWR)


class Way(NamedTuple):
    """How to get in: to Redis itself, or to its sentinels."""

    settings: Redis
    username: str | None
    password: SecretStr | None
    database: int
    name: str
    """What CLIENT LIST shows."""
    connect_time: float
    patience: float
    """Seconds that a reply may take."""

    @classmethod
    def to_redis(cls, settings: Redis, name: str, patience: float) -> Way:
        user, database = settings.username, settings.url.database
        time = FAST_CONNECT_TIME if settings.url.kind else CONNECT_TIME
        return cls(settings, user, settings.password, database, name, time, patience)

    @classmethod
    def to_sentinels(cls, settings: Redis, name: str) -> Way:
        user, time = settings.sentinel_username, FAST_CONNECT_TIME
        return cls(settings, user, settings.sentinel_password, 0, name, time, time)

    def open(self, place: Endpoint | str) -> Wire:
        """A connection that is logged in; ``place`` as text is the path of a socket.

        Raises what `explain` has words for.
        """
        made = _Connection(
            place,
            _context(self.settings),
            self.connect_time,
            db=self.database,
            username=self.username,
            password=self.password.get_secret_value() if self.password else None,
            client_name=self.name,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=self.patience,
        )
        try:
            made.connect()
            return Wire(made, self.patience)
        except BaseException:
            made.disconnect()
            raise


def _context(settings: Redis) -> tls.ClientContext | None:
    """With the files of TLS as they are now."""
    if not settings.url.tls:
        return None
    return tls.client_context(ca=settings.ssl_ca, cert=settings.ssl_cert, key=settings.ssl_key)


class _Connection(redis.Connection):
    """redis-py's, over a socket of gevent: it waits as links do, and has their words for TLS."""

    def __init__(
        self,
        place: Endpoint | str,
        context: tls.ClientContext | None,
        connect_time: float,
        **options: Any,
    ) -> None:
        self._place = place
        self._context = context
        self._connect_time = connect_time
        self.made: socket.socket
        """The socket, once connected."""
        host, port = ("", 0) if isinstance(place, str) else place
        super().__init__(host=host, port=port, **options)

    def _connect(self) -> socket.socket:
        place = self._place
        if not isinstance(place, str):
            made = socket.create_connection(place, self._connect_time)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        else:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(self._connect_time)
            try:
                made.connect(place)
            except BaseException:
                made.close()
                raise
        if self._context is not None:
            made = self._context.wrap_socket(made, server_hostname=self.host)
        made.settimeout(self.socket_timeout)
        self.made = made
        return made


def ask(wire: Wire, *command: Argument) -> Any:
    """The reply to one command. Raises what `explain` has words for."""
    wire.write(packed([command]))
    (reply,) = wire.read(1)
    if isinstance(reply, Exception):
        raise reply
    return reply


# What a server says that is no longer, or not yet, the one to ask. It has done nothing.
ELSEWHERE = (
    redis.exceptions.ReadOnlyError,
    redis.exceptions.AskError,  # of which MovedError is one
    redis.exceptions.TryAgainError,
    redis.exceptions.ClusterDownError,  # of which MasterDownError is one
)

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (redis.BusyLoadingError, "it is loading its data"),
    (
        redis.exceptions.MovedError,
        "another node of the cluster has the keys, or url of redis lacks redis+cluster",
    ),
    (redis.exceptions.AskError, "the cluster moves the keys to another node"),
    (redis.exceptions.TryAgainError, "the cluster moves the keys to another node"),
    (redis.exceptions.MasterDownError, "it is a replica that has lost its primary"),
    (redis.exceptions.ClusterDownError, "the cluster is down, or this node is cut off from it"),
)

# Of Redis 7.0, and of newer.
_NOT_IN_SCRIPTS = ("The user executing the script can't", "ACL failure in script")

# How replies begin, and what to do about it.
_REPLIES = (
    ("WRONGPASS", "it refuses the login: look at username and password of redis"),
    ("invalid username-password", "it refuses the login: look at username and password of redis"),
    ("NOAUTH", "it asks for a login: set username and password_file of redis"),
    ("Authentication required", "it asks for a login: set username and password_file of redis"),
    ("NOPERM", "its ACL does not permit this user what the program needs (see docs/redis.md)"),
    ("No permission", "its ACL does not permit this user what the program needs"),
    ("has no permissions", "its ACL does not permit this user what the program needs"),
    *(
        (words, "its ACL does not permit this user what the program needs")
        for words in _NOT_IN_SCRIPTS
    ),
    ("OOM", "it has no memory left: give it more maxmemory, with maxmemory-policy noeviction"),
    ("command not allowed when used memory", "it has no memory left: give it more maxmemory"),
    ("NOREPLICAS", "it has fewer replicas than min-replicas-to-write, and refuses to change any"),
    ("MISCONF", "it cannot write its data to the disk, and refuses to change any"),
    ("READONLY", "it is a replica: let url of redis name the primary"),
    ("You can't write against a read only", "it is a replica: let url of redis name the primary"),
    ("WRONGTYPE", "a key holds something else: give redis a prefix of its own"),
    ("unknown command", "it is too old: Redis 7.0 or newer, or Valkey, is needed"),
    ("NOSCRIPT", "it has lost the scripts"),
    ("No matching script", "it has lost the scripts"),
)


def is_forbidden(error: Exception) -> bool:
    """Whether the ACL is why: of the command, or of what a script does."""
    of_a_script = any(words in str(error) for words in _NOT_IN_SCRIPTS)
    return of_a_script or isinstance(error, redis.exceptions.NoPermissionError)


def _meaning(error: Exception, text: str) -> str:
    kinds = (meaning for kind, meaning in _KINDS if isinstance(error, kind))
    return next(kinds, None) or next((means for word, means in _REPLIES if word in text), "")


def explain(error: Exception, patience: float) -> str:
    """An error of redis-py, or of the socket under it, in words for the log."""
    text = _IN_A_SCRIPT.sub("", str(error))[:_LONGEST_REASON]
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return f"it does not answer within {patience:.2g} s"
    meaning = _meaning(error, text)
    if meaning:
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
