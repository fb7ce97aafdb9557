"""What plugins ask of a server that another process has, and the events that they have it publish.

Over the bus: an action goes to the collector that holds the server's lease, once; an event to the
one that holds that of the program.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Mapping
from typing import Any

from gevent.queue import Queue

from amiws_gevent.ami import Message
from amiws_gevent.bus.api import UNREACHABLE as NOT_BEGUN
from amiws_gevent.bus.api import Caller, Problem
from amiws_gevent.crossing import calls
from amiws_gevent.crossing.streams import PROGRAM, lease_of_server
from amiws_gevent.facilities import MOST_EVENTS, no_server, parse_ask
from amiws_gevent.plugins.facilities import UNKNOWN, UNREACHABLE, Answer, AskError
from amiws_gevent.runtime.log import LogLimiter

# Seconds
MARGIN = 5.0  # more than the server has, for the way
PUBLISH_TIME = 10.0

AWAY = "no collector that is connected to this server can be reached"
LOST = "the collector was lost before the answer came: it may be done or not"

_log = logging.getLogger("amiws_gevent.plugins")


class Afar:
    """Asks holders of leases. ``servers`` gives the ids of those that there are."""

    def __init__(self, caller: Caller, servers: Callable[[], Container[int]]) -> None:
        self._caller = caller
        self._servers = servers
        self._publishing = 0
        self._limiter = LogLimiter()

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        """Of `plugins.facilities.Facilities`. Raises AskError."""
        request = parse_ask(server, action, timeout, wait)
        if server not in self._servers():
            raise no_server(server)
        answered: Queue[tuple[bytes | None, Problem]] = Queue()

        def on_answer(data: bytes | None, _last: bool, problem: Problem) -> None:
            answered.put((data, problem))

        question = calls.encode(request=calls.request_members(request))
        cancel = self._caller.call(
            lease_of_server(server), calls.ASK, question, request.timeout + MARGIN, on_answer
        )
        try:
            data, problem = answered.get()
        except BaseException:  # the hook was cut off
            cancel()
            raise
        if problem == NOT_BEGUN:
            raise AskError(UNREACHABLE, AWAY)
        told = calls.decode(data) if data else {}
        if "answer" in told:
            return calls.answer_of(told["answer"])
        raise AskError(*told.get("error", (UNKNOWN, LOST)))

    def publish(self, event: Message) -> bool:
        """Of `plugins.facilities.Facilities`: whether it is on its way."""
        if self._publishing >= MOST_EVENTS:
            return False

        def on_answer(_data: bytes | None, last: bool, problem: Problem) -> None:
            if last:
                self._publishing -= 1
            if problem:
                self._limiter.log(
                    _log,
                    logging.ERROR,
                    "publish",
                    "an event of a plugin is lost: the collector that publishes such events "
                    "cannot be reached (%s)",
                    problem,
                )

        self._publishing += 1
        question = calls.encode(event=calls.message_members(event))
        self._caller.call(PROGRAM, calls.PUBLISH, question, PUBLISH_TIME, on_answer)
        return True
