"""One connection to Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from amiws_gevent.bus.finding import NotFound, finder_of
from amiws_gevent.bus.scripts import ALL, Argument, Command
from amiws_gevent.bus.wire import CONNECT_TIME, ELSEWHERE, Wire, explain, is_forbidden, packed
from amiws_gevent.config import Redis
from amiws_gevent.errors import AmiwsError


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
    elsewhere: bool = False
    """Whether another server is to be asked from now on."""
    forbidden: bool = False
    """Whether the ACL is why."""


class Connection:
    """Commands to Redis and its replies, as redis-py reads them: bytes, int, None, lists of these.

    Nothing is ever asked twice. ``name`` is what CLIENT LIST shows. ``patience`` is how long
    a reply may take, in seconds. Not for two greenlets at once.
    """

    def __init__(self, settings: Redis, name: str, patience: float) -> None:
        self._patience = patience
        self._finder = finder_of(settings, name, patience)
        self._wire: Wire | None = None

    def open(self) -> None:
        """Find the server, connect, log in, load the scripts. Raises Away."""
        try:
            self._wire = self._finder.found()
        except NotFound as error:
            raise Away(str(error)) from error
        except (redis.RedisError, OSError) as error:
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
        reply = self.ask_all((command,))[0]
        if isinstance(reply, Refusal):
            raise Away(reply.reason)
        return reply

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to several commands that are sent at once; a Refusal where one is refused.

        Raises Away also if it is found that another server is to be asked now.
        """
        wire = self._wire
        if wire is None:
            raise Away("it is not connected")
        if self._finder.left():
            self.close()
            raise Away("the sentinels name another primary now")
        data = packed(commands)
        try:
            wire.write(data)
            replies = wire.read(len(commands))
        except (redis.RedisError, OSError) as error:
            self.close()
            raise Away(explain(error, self._patience), asked=True) from error
        except BaseException:  # a greenlet that is killed: the rest of the reply would be next
            self.close()
            raise
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                return self._with_refusals(replies)
        return replies

    def confirm(self) -> None:
        """Wait until a replica has what was written here, so that a fail-over cannot undo it.

        Raises Away if none has it in time. Nothing is waited for if no replica can take over,
        or none is connected.
        """
        if not self._finder.fails_over:
            return
        _, _, replicas = self.ask("ROLE")
        if replicas and not self.ask("WAIT", 1, round(self._patience * 500)):
            raise Away("none of its replicas confirms what is written", asked=True)

    def _with_refusals(self, replies: Sequence[Any]) -> list[Any]:
        """The replies, if this server is still the one to ask."""
        told = [self._refusal(one) if isinstance(one, Exception) else one for one in replies]
        for one in told:
            if isinstance(one, Refusal) and one.elsewhere:
                self.close()
                raise Away(one.reason, asked=not all(_is_elsewhere(each) for each in told))
        return told

    def _refusal(self, error: Exception) -> Refusal:
        reason = explain(error, self._patience)
        return Refusal(reason, isinstance(error, ELSEWHERE), is_forbidden(error))


def _is_elsewhere(reply: Any) -> bool:
    return isinstance(reply, Refusal) and reply.elsewhere
