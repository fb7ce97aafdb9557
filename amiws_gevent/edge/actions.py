"""Actions of an edge's clients: checked here, done by the collector.

It is asked once. If it is lost meanwhile, the outcome is unknown, and that is told at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import gevent
from gevent.event import Event

from amiws_gevent.access import CHANGED, RightsOf
from amiws_gevent.actions import ActionProblem, ActionRequest, ActionService, Reply, Submission
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.actions.reply import RETRY_AFTER, UNKNOWN, failed
from amiws_gevent.actions.reply import UNREACHABLE as NOT_SENT
from amiws_gevent.actions.run import Told
from amiws_gevent.ami import encode_message, error_response
from amiws_gevent.audit.trail import Trail
from amiws_gevent.bus.api import UNREACHABLE, Caller, Problem
from amiws_gevent.crossing import calls
from amiws_gevent.crossing.streams import PROGRAM
from amiws_gevent.dispatch import OWN_PREFIX, Answer, Dispatcher, Permitted
from amiws_gevent.plugins.api import ClientInfo, ServerInfo
from amiws_gevent.policy import Rights

MARGIN = 10.0
"""Seconds more than the servers have: for the audit, and for the way."""

CLASSIC_TIME = 30.0  # seconds in which an action of the classic socket must be sent

LOST = "the collector was lost before all of the answer came: it may be done or not"
AWAY = "the collector cannot be reached"


class Servers(Protocol):
    """The servers that the collector has (`Following`)."""

    @property
    def infos(self) -> Mapping[int, ServerInfo]: ...


class _Targets(Mapping[int, Any]):
    """The servers by id, of which an edge has nothing but their names."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def __getitem__(self, server: int) -> ServerInfo:
        return self._servers.infos[server]

    def __iter__(self) -> Iterator[int]:
        return iter(self._servers.infos)

    def __len__(self) -> int:
        return len(self._servers.infos)


class _Asking:
    """A request that is with the collector; of `actions.run.Joined`."""

    def __init__(
        self, request: ActionRequest, servers: Sequence[int], shown: Callable[[Reply], Reply]
    ) -> None:
        self.begun = Event()
        """Set once it is known whether it was taken."""
        self.problem: ActionProblem | None = None
        self.servers = servers
        self.cancel: Callable[[], None] = _do_nothing
        self._request = request
        self._shown = shown
        self._replied: set[int] = set()
        self._told: list[Reply] = []
        self._submission: Submission | None = None

    def on_answer(self, data: bytes | None, last: bool, problem: Problem) -> None:
        """Of `bus.api.Caller`."""
        members = calls.decode(data) if data else {}
        if "servers" in members:
            self.servers = members["servers"]
        elif "problem" in members:
            self.problem = calls.problem_of(members["problem"])
        elif "reply" in members:
            self._tell(calls.reply_of(members["reply"]))
        if problem == UNREACHABLE:
            self._fail(NOT_SENT, AWAY, RETRY_AFTER)
        elif problem or (last and self.problem is None):
            self._fail(UNKNOWN, LOST)
        self.begun.set()

    def _tell(self, reply: Reply) -> None:
        self._replied.add(reply.server)
        if self._submission is None:
            self._told.append(reply)
        else:  # who is told may wait, and others wait for the bus
            gevent.spawn(self._submission.tell, self._shown(reply))

    def _fail(self, outcome: str, reason: str, again: float | None = None) -> None:
        for server in self.servers:
            if server not in self._replied:
                reply = failed(self._request, server, outcome, reason)
                self._tell(dataclasses.replace(reply, retry_after=again))

    def join(self, submission: Submission) -> None:
        """Tell what has come, and what comes."""
        self._submission = submission
        told, self._told = self._told, []
        for reply in told:
            gevent.spawn(submission.tell, self._shown(reply))

    def leave(self, _submission: Submission) -> None:
        """Nobody waits any more."""
        self.cancel()


class RemoteActions(ActionService):
    """Has the collector ask the servers."""

    def __init__(
        self,
        servers: Servers,
        caller: Caller,
        *,
        rights_of: RightsOf,
        audit: Trail,
        action_limits: ActionLimits,
    ) -> None:
        super().__init__(
            _Targets(servers),
            lambda _, messages: messages,
            rights_of=rights_of,
            audit=audit,
            action_limits=action_limits,
        )
        self._caller = caller

    @property
    def at_work(self) -> int:
        """Requests that are with the collector."""
        return self._of_client.total()

    def submit(self, request: ActionRequest, client: ClientInfo, reply: Told) -> Submission:
        """See `ActionService.submit`; waits until the collector has taken it or not."""
        checked, servers, rights = self._permitted(request, client)
        asking = _Asking(checked, servers, partial(self._shown_now, client, rights))
        # The request as it came: it is the collector that sends real numbers.
        question = calls.encode(
            client=calls.client_members(client), request=calls.request_members(request)
        )
        time = request.timeout + MARGIN
        asking.cancel = self._caller.call(PROGRAM, calls.ACTION, question, time, asking.on_answer)
        try:
            asking.begun.wait()
        except BaseException:
            asking.cancel()
            raise
        if asking.problem is not None:  # the collector has recorded it
            self.refused[asking.problem.code] += 1
            raise asking.problem
        self.sent += len(asking.servers)
        return self._join(asking, client, reply)

    def _shown_now(self, client: ClientInfo, rights: Rights, reply: Reply) -> Reply:
        """A reply, unless it was made by rights of before."""
        self.outcomes[reply.outcome] += 1
        if self._rights_of(client.identity) == rights or reply.outcome == NOT_SENT:
            return reply
        return reply.without_answer(CHANGED)


class RemoteDispatcher(Dispatcher):
    """Has the collector send the actions of classic clients."""

    def __init__(
        self,
        servers: Servers,
        caller: Caller,
        *,
        rights_of: RightsOf,
        audit: Trail,
        limits: ActionLimits,
    ) -> None:
        super().__init__(_Targets(servers), rights_of=rights_of, audit=audit, limits=limits)
        self._caller = caller

    def _go(self, permitted: Permitted, answer: Answer) -> None:
        question = calls.encode(client=calls.client_members(permitted.client), text=permitted.text)
        self.sent += len(permitted.servers)

        def on_answer(data: bytes | None, last: bool, problem: Problem) -> None:
            if data:
                answer(data)
            if problem:
                why = AWAY if problem == UNREACHABLE else LOST
                failure = error_response(why, permitted.action.action_id)
                answer(encode_message(OWN_PREFIX, failure))

        self._caller.call(PROGRAM, calls.CLASSIC, question, CLASSIC_TIME, on_answer)


def _do_nothing() -> None:
    """Nothing is to be cancelled yet."""
