"""What edges and other collectors ask: actions are done here, and recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import gevent

from amiws_gevent.actions import ActionProblem, ActionRequest, Submission
from amiws_gevent.actions import Reply as ActionReply
from amiws_gevent.ami import Message
from amiws_gevent.audit.trail import Trail
from amiws_gevent.bus.api import Handler, Reply
from amiws_gevent.collector.actions import PartActions
from amiws_gevent.crossing import calls
from amiws_gevent.crossing.records import numbered
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.plugins.facilities import UNREACHABLE, Answer, AskError

MOST = 2000
"""Questions that are worked on at once; each has a greenlet."""

BUSY = ActionProblem(
    "too_many_actions", f"{MOST} actions of all edges are not done yet", retry_after=1.0
)

LATE = "its time was over, or this collector may have lost its lease, before it could be sent"

_log = logging.getLogger("amiws_gevent.collector")

Report = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""What another collector tells of its servers, to what it is answered; None: not yet."""


class Facilities(Protocol):
    """What plugins have of this collector."""

    def ask_here(self, server: int, request: ActionRequest) -> Answer:
        """Raises AskError."""

    def publish_here(self, event: Message) -> bool: ...


class Answering:
    """``methods`` are what is called, for `bus.api.Callee`; ``name`` is that of this collector."""

    def __init__(
        self,
        actions: PartActions,
        dispatcher: Dispatcher,
        audit: Trail,
        facilities: Facilities,
        report: Report,
        name: str,
    ) -> None:
        self._actions = actions
        self._dispatcher = dispatcher
        self._audit = audit
        self._facilities = facilities
        self._report = report
        self._name = name
        self._at_work = 0

    @property
    def methods(self) -> Mapping[str, Handler]:
        """By name."""
        made = {
            calls.ACTION: (self._action, _refuse_action),
            calls.CLASSIC: (self._classic, _refuse_silently),
            calls.TELL: (self._tell, _refuse_silently),
            calls.AUDIT: (self._last, _refuse_silently),
            calls.ASK: (self._ask, _refuse_plugin),
            calls.PUBLISH: (self._publish, _refuse_silently),
            calls.REPORT: (self._take_report, _refuse_silently),
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
            _log.exception("internal error in what an edge or another collector has asked")
            reply.send(b"", last=True)
        finally:
            self._at_work -= 1

    # -- actions of clients --------------------------------------------------------------

    def _action(self, given: dict[str, Any], reply: Reply) -> None:
        client = calls.client_of(given["client"])
        request = calls.request_of(given["request"])
        asked = _Asked(reply)
        try:
            self._actions.check_rights(request, client, given["rights"])
            submission = self._actions.submit_part(
                request, given["server"], client, asked.tell, partial(_late, reply)
            )
        except ActionProblem as problem:
            reply.send(calls.encode(problem=calls.problem_members(problem)), last=True)
            return
        asked.begins(submission)

    def _classic(self, given: dict[str, Any], reply: Reply) -> None:
        self._dispatcher.dispatch(
            given["text"],
            client=calls.client_of(given["client"]),
            answer=reply.send,
            server=given["server"],
            late=partial(_late, reply),
        )
        reply.send(b"", last=True)

    # -- the audit -----------------------------------------------------------------------

    def _tell(self, given: dict[str, Any], reply: Reply) -> None:
        what, told = given["what"], given["told"]
        if what == calls.LOGIN:
            self._audit.login(**told)
        elif what == calls.LOGOUT:
            self._audit.logout(**told)
        elif what == calls.REFUSED:
            client = calls.client_of(told.pop("client"))
            self._audit.refused(client, **told)
        elif what == calls.READ:
            self._audit.read(calls.client_of(told["client"]), told["chosen"])
        elif what == calls.READ_REFUSED:
            client = calls.client_of(told["client"])
            self._audit.read_refused(client, told["reason"], told["more"])
        reply.send(b"", last=True)

    def _last(self, given: dict[str, Any], reply: Reply) -> None:
        told = numbered(self._audit, self._name, **given)
        reply.send(calls.encode(collector=self._name, last=told), last=True)

    # -- plugins -------------------------------------------------------------------------

    def _ask(self, given: dict[str, Any], reply: Reply) -> None:
        request = calls.request_of(given["request"])
        (server,) = request.servers or ()
        try:
            answer = self._facilities.ask_here(server, request)
        except AskError as error:
            reply.send(calls.encode(error=[error.code, str(error)]), last=True)
            return
        reply.send(calls.encode(answer=calls.answer_members(answer)), last=True)

    def _publish(self, given: dict[str, Any], reply: Reply) -> None:
        event = calls.message_of(given["event"])
        if event is not None:
            self._facilities.publish_here(event)
        reply.send(b"", last=True)

    # -- other collectors ----------------------------------------------------------------

    def _take_report(self, given: dict[str, Any], reply: Reply) -> None:
        common = self._report(given["servers"])
        reply.send(b"" if common is None else calls.encode(**common), last=True)


class _Asked:
    """An action on its way: its reply goes to the edge, behind the word that it was taken."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._early: list[tuple[ActionReply, int]] | None = []

    def tell(self, reply: ActionReply, replies: int) -> None:
        """Of `ActionService.submit`."""
        if self._early is not None:
            self._early.append((reply, replies))
            return
        self._reply.send(calls.encode(reply=calls.reply_members(reply)), last=True)

    def begins(self, submission: Submission) -> None:
        """The server is asked."""
        self._reply.send(calls.encode(taken=True))
        early, self._early = self._early, None
        for one in early or ():
            self.tell(*one)
        self._reply.on_cancel(submission.cancel)


def _late(reply: Reply) -> str:
    return LATE if reply.expired else ""


def _refuse_action(reply: Reply) -> None:
    reply.send(calls.encode(problem=calls.problem_members(BUSY)), last=True)


def _refuse_plugin(reply: Reply) -> None:
    reply.send(calls.encode(error=[UNREACHABLE, str(BUSY)]), last=True)


def _refuse_silently(reply: Reply) -> None:
    reply.send(b"", last=True)
