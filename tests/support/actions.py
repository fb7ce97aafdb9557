"""Links, replies and clients for tests of actions that are answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gevent
from gevent.event import Event

from amiws_gevent.actions import ActionRequest, Reply
from amiws_gevent.actions.request import parse_request
from amiws_gevent.ami import Kind, Message
from amiws_gevent.link import Answer
from amiws_gevent.plugins.api import ClientInfo, ServerInfo
from tests.support.greenlets import until
from tests.support.hosts import ami_host

ALICE = ClientInfo("192.0.2.7:5001", "alice", "v2")
BOB = ClientInfo("192.0.2.7:5002", "bob", "v2")


def asked(action: Any = None, server: Any = 1, **more: Any) -> ActionRequest:
    """A request as `ActionService.parse` makes it."""
    return parse_request({"server": server, "action": action or {"Action": "CoreStatus"}, **more})


def response(**headers: str) -> Message:
    known = {"Response": "Success", "ActionID": "amiws-gevent-1"}
    return Message(Kind.RESPONSE, known | headers)


def item(name: str, **headers: str) -> Message:
    return Message(Kind.EVENT, {"Event": name, "ActionID": "amiws-gevent-1"} | headers)


def answered(
    said: Message | None = None,
    items: Sequence[Message] = (),
    end: Message | None = None,
    **more: Any,
) -> Answer:
    """What a link has collected; without more it is whole and no refusal."""
    known: dict[str, Any] = {"complete": True, "reason": "", "refusal": ""} | more
    return Answer(said or response(), tuple(items), end, **known)


def as_it_is(_server: ServerInfo, messages: Sequence[Message]) -> Sequence[Message]:
    """No plugin transforms anything."""
    return messages


class ScriptedLink:
    """Answers each `ask` with ``answer``, raised if it is an error, once it is ``open``."""

    def __init__(self, server_id: int = 1, answer: Answer | Exception | None = None) -> None:
        self.host = ami_host(id=server_id, name=f"pbx{server_id}", ssl=server_id == 2)
        self.answer = answer or answered()
        self.asked: list[tuple[tuple[tuple[str, str], ...], float, bool]] = []
        self.at_work = 0
        self.open = Event()
        self.open.set()

    def ask(
        self, action: tuple[tuple[str, str], ...], *, timeout: float, wait: bool = False
    ) -> Answer:
        self.asked.append((action, timeout, wait))
        self.at_work += 1
        try:
            self.open.wait()
        finally:
            self.at_work -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Told:
    """Takes replies as a client does."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.counts: list[int] = []

    def __call__(self, reply: Reply, count: int) -> None:
        self.replies.append(reply)
        self.counts.append(count)

    def wait(self, number: int = 1) -> list[Reply]:
        """Wait for so many replies; all that came."""
        until(lambda: len(self.replies) >= number)
        return self.replies

    @property
    def outcomes(self) -> list[str]:
        return [reply.outcome for reply in self.replies]


def settle() -> None:
    """Let every greenlet that can run do so."""
    for _ in range(5):
        gevent.sleep(0)
