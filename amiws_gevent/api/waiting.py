"""An action by HTTP: the answer waits for all replies, or for the client to leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gevent.event import Event

from amiws_gevent.actions import ActionRequest, Reply, Submission
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.web.hangup import MakeHangup


class Actions(Protocol):
    """What is needed of `ActionService`."""

    def parse(self, given: Mapping[str, Any], client: ClientInfo) -> ActionRequest: ...

    def submit(
        self, request: ActionRequest, client: ClientInfo, reply: Callable[[Reply, int], None]
    ) -> Submission: ...


class _Waiting:
    """Collects the replies to one request."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.over = Event()
        """All replies are there, or the client has left."""

    def reply(self, reply: Reply, count: int) -> None:
        self.replies.append(reply)
        if len(self.replies) == count:
            self.over.set()


def act(
    actions: Actions, given: Mapping[str, Any], client: ClientInfo, watch: MakeHangup | None
) -> list[dict[str, Any]]:
    """What each server replied, by the servers' ids; raises ActionProblem.

    The service sees to it that each server replies in time.
    """
    waiting = _Waiting()
    submission = actions.submit(actions.parse(given, client), client, waiting.reply)
    hangup = watch(waiting.over.set) if watch is not None else None
    try:
        waiting.over.wait()
    finally:
        if hangup is not None:
            hangup.close()
        submission.cancel()
    return [reply.as_json() for reply in sorted(waiting.replies, key=lambda one: one.server)]
