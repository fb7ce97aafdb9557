"""What edges ask: actions of their clients are done here, and recorded, as those of own clients.

An edge has checked the rights of the client, and has asked the plugins. Rights are checked again,
since this process has the links; limits and idempotency keys count for all edges together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import gevent

from amiws_gevent.actions import ActionProblem, ActionService, Submission
from amiws_gevent.actions import Reply as ActionReply
from amiws_gevent.audit.trail import Trail
from amiws_gevent.bus.api import Handler, Reply
from amiws_gevent.config import AmiHost
from amiws_gevent.crossing import calls
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.errors import NotConnected
from amiws_gevent.link import Answer, Link

MOST = 2000
"""Questions that are worked on at once; each has a greenlet."""

BUSY = ActionProblem(
    "too_many_actions", f"{MOST} actions of all edges are not done yet", retry_after=1.0
)

NO_LEASE = "this collector may have lost its lease, and another one have taken it"

_log = logging.getLogger("amiws_gevent.collector")


class HeldLink:
    """A link that nothing is sent over while another collector may have the lease."""

    def __init__(self, link: Link, holds: Callable[[], bool]) -> None:
        self._link = link
        self._holds = holds

    @property
    def host(self) -> AmiHost:
        """The server."""
        return self._link.host

    def ask(
        self, action: tuple[tuple[str, str], ...], *, timeout: float, wait: bool = False
    ) -> Answer:
        """See `Link.ask`."""
        self._check()
        return self._link.ask(action, timeout=timeout, wait=wait)

    def send(self, data: bytes, *, holding: float = 0.0) -> None:
        """See `Link.send`."""
        self._check()
        self._link.send(data, holding=holding)

    def _check(self) -> None:
        if not self._holds():
            raise NotConnected(NO_LEASE)


class HeldLinks(Mapping[int, HeldLink]):
    """Links by server."""

    def __init__(self, links: Mapping[int, Link], holds: Callable[[], bool]) -> None:
        self._links = links
        self._holds = holds

    def __getitem__(self, server: int) -> HeldLink:
        return HeldLink(self._links[server], self._holds)

    def __iter__(self) -> Iterator[int]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)


class Answering:
    """``methods`` are what edges call, for `bus.api.Callee`."""

    def __init__(self, actions: ActionService, dispatcher: Dispatcher, audit: Trail) -> None:
        self._actions = actions
        self._dispatcher = dispatcher
        self._audit = audit
        self._at_work = 0

    @property
    def methods(self) -> Mapping[str, Handler]:
        """By name."""
        made = {
            calls.ACTION: (self._action, _refuse_action),
            calls.CLASSIC: (self._classic, _refuse_silently),
            calls.TELL: (self._tell, _refuse_silently),
            calls.AUDIT: (self._last, _refuse_silently),
        }
        return {name: partial(self._take, *each) for name, each in made.items()}

    def _take(
        self,
        work: Callable[[dict[str, Any], Reply], None],
        refuse: Callable[[Reply], None],
        data: bytes,
        reply: Reply,
    ) -> None:
        """Work on it in a greenlet: what is asked may wait for plugins, the audit, a server."""
        if self._at_work >= MOST:
            refuse(reply)
            return
        self._at_work += 1
        gevent.spawn(self._run, work, data, reply)

    def _run(
        self, work: Callable[[dict[str, Any], Reply], None], data: bytes, reply: Reply
    ) -> None:
        try:
            if not reply.cancelled and not reply.expired:
                work(calls.decode(data), reply)
        except Exception:  # noqa: BLE001 - the edge is to have an answer
            _log.exception("internal error in what an edge has asked")
            reply.send(b"", last=True)
        finally:
            self._at_work -= 1

    def _action(self, given: dict[str, Any], reply: Reply) -> None:
        client = calls.client_of(given["client"])
        asked = _Asked(reply)
        try:
            submission = self._actions.submit(
                calls.request_of(given["request"]), client, asked.tell
            )
        except ActionProblem as problem:
            reply.send(calls.encode(problem=calls.problem_members(problem)), last=True)
            return
        asked.begins(submission)

    def _classic(self, given: dict[str, Any], reply: Reply) -> None:
        client = calls.client_of(given["client"])
        self._dispatcher.dispatch(given["text"], client=client, answer=reply.send)
        reply.send(b"", last=True)

    def _tell(self, given: dict[str, Any], reply: Reply) -> None:
        what, told = given["what"], given["told"]
        if what == calls.LOGIN:
            self._audit.login(**told)
        elif what == calls.LOGOUT:
            self._audit.logout(**told)
        elif what == calls.REFUSED:
            client = calls.client_of(told.pop("client"))
            self._audit.refused(client, **told)
        reply.send(b"", last=True)

    def _last(self, given: dict[str, Any], reply: Reply) -> None:
        reply.send(calls.encode(last=self._audit.last(**given)), last=True)


class _Asked:
    """An action on its way: its replies go to the edge, behind the word that they come."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._early: list[tuple[ActionReply, int]] | None = []

    def tell(self, reply: ActionReply, replies: int) -> None:
        """Of `ActionService.submit`."""
        if self._early is not None:
            self._early.append((reply, replies))
            return
        self._left -= 1
        self._reply.send(calls.encode(reply=calls.reply_members(reply)), last=not self._left)

    def begins(self, submission: Submission) -> None:
        """The servers are asked."""
        self._left = submission.replies
        self._reply.send(calls.encode(servers=submission.servers))
        early, self._early = self._early, None
        for one in early or ():
            self.tell(*one)
        self._reply.on_cancel(submission.cancel)


def _refuse_action(reply: Reply) -> None:
    reply.send(calls.encode(problem=calls.problem_members(BUSY)), last=True)


def _refuse_silently(reply: Reply) -> None:
    reply.send(b"", last=True)
