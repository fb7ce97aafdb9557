"""Actions of an edge's clients: checked here, done by the collectors that hold the servers.

Each server's holder is asked for its part, once. If it is lost meanwhile, the outcome on that
server is unknown, and that is told at once.
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
from amiws_gevent.ami import Kind, encode_message, envelope_prefix, error_response
from amiws_gevent.audit.trail import Trail
from amiws_gevent.bus.api import UNREACHABLE, Caller, OnAnswer, Problem
from amiws_gevent.crossing import calls
from amiws_gevent.crossing.streams import lease_of_server
from amiws_gevent.dispatch import OWN_PREFIX, Answer, Dispatcher, Permitted
from amiws_gevent.plugins.api import ClientInfo, ServerInfo
from amiws_gevent.policy import Rights

MARGIN = 10.0
"""Seconds more than the servers have: for the audit, and for the way."""

CLASSIC_TIME = 30.0  # seconds in which an action of the classic socket must be sent

LOST = "the collector was lost before all of the answer came: it may be done or not"
AWAY = "no collector that is connected to this server can be reached"


class Servers(Protocol):
    """The servers that there are (`Following`)."""

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
    """A request that is with the holders of its servers; of `actions.run.Joined`."""

    def __init__(
        self, request: ActionRequest, servers: Sequence[int], shown: Callable[[Reply], Reply]
    ) -> None:
        self.servers = servers
        self._begun = Event()
        """Set once a holder has begun, or none has and all have said why."""
        self._request = request
        self._shown = shown
        self._asked: dict[int, Callable[[], None]] = {}  # what cancels it
        self._replied: set[int] = set()
        self._problems: list[ActionProblem] = []
        self._told: list[Reply] = []
        self._submission: Submission | None = None

    def ask(self, call: Callable[[int, OnAnswer], Callable[[], None]]) -> None:
        """Ask the holder of each server."""
        for server in self.servers:
            self._asked[server] = call(server, partial(self._on_answer, server))

    def wait(self) -> None:
        """Wait until it has begun; raises ActionProblem if all holders refuse it."""
        try:
            self._begun.wait()
        except BaseException:
            self.cancel()
            raise
        if len(self._problems) == len(self.servers):
            raise self._problems[0]

    def cancel(self) -> None:
        """Nobody waits any more."""
        for server, cancel in self._asked.items():
            if server not in self._replied:
                cancel()

    def _on_answer(self, server: int, data: bytes | None, last: bool, problem: Problem) -> None:
        """Of `bus.api.Caller`."""
        members = calls.decode(data) if data else {}
        if "reply" in members:
            self._tell(calls.reply_of(members["reply"]))
        elif "problem" in members:
            refused = calls.problem_of(members["problem"])
            self._problems.append(refused)
            self._fail(server, NOT_SENT, refused.message, refused.retry_after)
        elif problem == UNREACHABLE:
            self._fail(server, NOT_SENT, AWAY, RETRY_AFTER)
        elif problem or last:
            self._fail(server, UNKNOWN, LOST)
        if len(self._replied) > len(self._problems) or not self._left or "taken" in members:
            self._begun.set()

    @property
    def _left(self) -> int:
        return len(self.servers) - len(self._replied)

    def _fail(self, server: int, outcome: str, reason: str, again: float | None = None) -> None:
        reply = failed(self._request, server, outcome, reason)
        self._tell(dataclasses.replace(reply, retry_after=again))

    def _tell(self, reply: Reply) -> None:
        if reply.server in self._replied:
            return
        self._replied.add(reply.server)
        if self._submission is None:
            self._told.append(reply)
        else:  # who is told may wait, and others wait for the bus
            gevent.spawn(self._submission.tell, self._shown(reply))

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
    """Has the collectors ask the servers."""

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
        """Requests that are with collectors."""
        return self._of_client.total()

    def submit(self, request: ActionRequest, client: ClientInfo, reply: Told) -> Submission:
        """See `ActionService.submit`; waits until a holder has begun, or all have refused."""
        checked, servers, rights = self._permitted(request, client)
        self._begin_counting(request, client)
        asking = _Asking(checked, servers, partial(self._shown_now, client, rights))
        # The request as it came: it is the collector that sends real numbers.
        told = {
            "client": calls.client_members(client),
            "request": calls.request_members(request),
            "rights": rights.digest,
        }

        def call(server: int, on_answer: OnAnswer) -> Callable[[], None]:
            question = calls.encode(server=server, **told)
            time = request.timeout + MARGIN
            lease = lease_of_server(server)
            return self._caller.call(lease, calls.ACTION, question, time, on_answer)

        try:
            asking.ask(call)
            asking.wait()
        except ActionProblem as problem:  # a collector has recorded it
            self.refused[problem.code] += 1
            self._limits.end(client)
            raise
        except BaseException:
            self._limits.end(client)
            raise
        self.sent += len(servers)
        return self._join(asking, client, reply)

    def _begin_counting(self, request: ActionRequest, client: ClientInfo) -> None:
        try:
            self._limits.begin(client)
        except ActionProblem as problem:
            self._refuse(client, problem, request)
            raise

    def _done(self, client: ClientInfo) -> None:
        super()._done(client)
        self._limits.end(client)

    def _shown_now(self, client: ClientInfo, rights: Rights, reply: Reply) -> Reply:
        """A reply, unless it was made by rights of before."""
        self.outcomes[reply.outcome] += 1
        if self._rights_of(client.identity) == rights or reply.outcome == NOT_SENT:
            return reply
        return reply.without_answer(CHANGED)


class RemoteDispatcher(Dispatcher):
    """Has the collectors send the actions of classic clients."""

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
        self._servers = servers
        self._caller = caller

    def _go(self, permitted: Permitted, answer: Answer) -> None:
        told = {"client": calls.client_members(permitted.client), "text": permitted.text}
        self.sent += len(permitted.servers)
        for server in permitted.servers:
            self._caller.call(
                lease_of_server(server),
                calls.CLASSIC,
                calls.encode(server=server, **told),
                CLASSIC_TIME,
                partial(self._on_answer, server, permitted.action.action_id, answer),
            )

    def _on_answer(
        self,
        server: int,
        action_id: str | None,
        answer: Answer,
        data: bytes | None,
        _last: bool,
        problem: Problem,
    ) -> None:
        if data:
            answer(data)
        if problem:
            failure = error_response(AWAY if problem == UNREACHABLE else LOST, action_id)
            answer(encode_message(self._prefix(server), failure))

    def _prefix(self, server: int) -> bytes:
        info = self._servers.infos.get(server)
        if info is None:  # gone meanwhile
            return OWN_PREFIX
        return envelope_prefix(Kind.RESPONSE, info.id, info.name, info.ssl)
