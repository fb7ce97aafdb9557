"""Sends clients' actions and gives each client the answers to its own.

An action is asked for over `Link.ask`, with an ActionID of the program's own. So two clients
may use the same ActionID at once, and no client, plugin or log sees what another has asked.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import gevent

from amiws_gevent.access import CHANGED, RightsOf, everything
from amiws_gevent.actions import limits, permission
from amiws_gevent.actions.idempotency import KeptRuns, Owner
from amiws_gevent.actions.problems import ActionProblem
from amiws_gevent.actions.reply import (
    REFUSED,
    RETRY_AFTER,
    UNKNOWN,
    UNREACHABLE,
    Reply,
    failed,
    originated,
    reply_of,
    told_uniqueid,
)
from amiws_gevent.actions.request import ActionRequest, parse_request
from amiws_gevent.actions.run import Joined, Run, Submission, Told
from amiws_gevent.ami import Message
from amiws_gevent.audit.trail import LEFT, Audited, Trail
from amiws_gevent.config import AmiHost
from amiws_gevent.errors import NotConnected, SendBufferFull
from amiws_gevent.link import Answer, AnswerLost
from amiws_gevent.plugins.api import ClientInfo, ServerInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.policy import Rights
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.peers import host_of, name_of

MOST_OF_A_CLIENT = 32
"""Requests of one client that are not done."""

MOST = 1000
"""Servers that are asked at the same time, by all clients; each may collect an answer."""

_log = logging.getLogger("amiws_gevent.actions")


class Asked(Protocol):
    """What the service needs of a link."""

    @property
    def host(self) -> AmiHost: ...

    def ask(
        self, action: tuple[tuple[str, str], ...], *, timeout: float, wait: bool = False
    ) -> Answer:
        """See `Link.ask`."""


class _Asker(NamedTuple):
    """Who has asked, what it may see and do by then, and the record of it."""

    client: ClientInfo
    rights: Rights
    audited: Audited
    late: Late


CallOf = Callable[[int, str], str | None]
"""The id of the call that a channel (server, uniqueid) belongs to, if it is known."""


Shown = Callable[[ServerInfo, Sequence[Message]], Sequence[Message]]
"""What of a server's messages a client may see."""

Late = Callable[[], str]
"""Why an action must not be sent any more; empty: it may. It is asked just before that."""


def never_late() -> str:
    """Of clients that this process has itself."""
    return ""


class ActionService:
    """Asks the servers of ``links`` (by id). ``plugins`` may be changed at any time.

    What is answered goes through ``shown`` (`Pipeline.shown`), as all that clients get, and is then
    limited to what the client sees by ``rights_of``, which also says what it may do.
    """

    def __init__(
        self,
        links: Mapping[int, Asked],
        shown: Shown,
        *,
        rights_of: RightsOf = everything,
        audit: Trail | None = None,
        action_limits: limits.ActionLimits | None = None,
        call_of: CallOf = lambda _server, _uniqueid: None,
        limiter: LogLimiter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plugins = Plugins()
        self.sent = 0
        """Actions sent, counted once for each server."""
        self.refused: Counter[str] = Counter()
        """Requests that were not done, by the code of the problem."""
        self.outcomes: Counter[str] = Counter()
        """Replies by outcome, also those that nobody waited for any more."""
        self._links = links
        self._shown = shown
        self._rights_of = rights_of
        self._audit = audit or Trail()
        if action_limits is None:
            action_limits = limits.ActionLimits(clock=clock)
        self._limits = action_limits
        self._call_of = call_of
        self._limiter = limiter or LogLimiter()
        self._kept = KeptRuns(clock)
        self._runs: set[Run] = set()
        self._of_client: Counter[ClientInfo] = Counter()

    @property
    def at_work(self) -> int:
        """Servers that have not replied yet, counted once for each action."""
        return sum(run.at_work for run in self._runs)

    @property
    def not_sent(self) -> int:
        """Requests that were not done, and actions that could not be sent to a server."""
        return self.refused.total() + self.outcomes[UNREACHABLE]

    def parse(self, given: Mapping[str, Any], client: ClientInfo | None = None) -> ActionRequest:
        """The request that a client's decoded JSON object is; raises ActionProblem.

        With ``client`` a problem is counted and logged as that client's.
        """
        try:
            return parse_request(given)
        except ActionProblem as problem:
            if client is not None:
                problem = self._count(client, problem)
                self._refuse(client, problem)
                raise problem from None
            raise

    def submit(self, request: ActionRequest, client: ClientInfo, reply: Told) -> Submission:
        """Ask the servers; ``reply`` gets what each has answered, and how many replies come.

        It is called from other greenlets, after this has returned, and may wait. First the
        client's rights decide, then ``amiws_authorize_action``, which may take seconds. Raises
        ActionProblem: then nothing was sent. Call `Submission.cancel` when the client has left.
        """
        request, servers, rights = self._permitted(request, client)
        run = self._run(request, servers, client, owner_of(client), rights)
        return self._join(run, client, reply)

    def _run(
        self,
        request: ActionRequest,
        servers: tuple[int, ...],
        client: ClientInfo,
        owner: Owner,
        rights: Rights,
        late: Late = never_late,
    ) -> Run:
        """The run of an earlier request with the same key, or one that begins."""
        try:
            run = self._kept.find(owner, request, rights)
            if run is None:
                return self._begin(request, servers, client, owner, rights, late)
            self._audit.repeated(client, run.ref, request.name, servers)
            return run
        except ActionProblem as problem:
            self._refuse(client, problem, request)
            raise

    def _permitted(
        self, request: ActionRequest, client: ClientInfo
    ) -> tuple[ActionRequest, tuple[int, ...], Rights]:
        """The request with real numbers, its servers, and by which rights it may be sent."""
        rights = self._rights_of(client.identity)
        headers = permission.taken_back(rights, request.headers)
        if headers != request.headers:
            request = dataclasses.replace(request, headers=headers, written=request.headers)
        try:
            self._limits.take(client)
            servers = self._servers(request, rights)
            permission.check(rights, servers, headers)
            self._authorize(request, client)
            self._check_audit()
            self._check_client(client)
        except ActionProblem as problem:
            self._refuse(client, problem, request)
            raise
        return request, servers, rights

    def _join(self, run: Joined, client: ClientInfo, reply: Told) -> Submission:
        self._of_client[client] += 1
        submission = Submission(run, reply, partial(self._done, client))
        run.join(submission)
        return submission

    def _servers(self, request: ActionRequest, rights: Rights) -> tuple[int, ...]:
        links = permission.reachable(rights, self._links)
        servers = tuple(links) if request.servers is None else request.servers
        if not servers:
            raise ActionProblem("unknown_server", "there is no server")
        for server in servers:
            if server not in links:
                known = ", ".join(map(str, links))
                raise ActionProblem(
                    "unknown_server", f"server {server}: no such server (there are: {known})"
                )
        return servers

    def _authorize(self, request: ActionRequest, client: ClientInfo) -> None:
        """Ask the plugins, for a list of servers about each: a hook knows one server or all."""
        for server in request.servers or (None,):
            refusal = self.plugins.authorize_action(request.client_action(server), client)
            if refusal is not None:
                raise ActionProblem("not_allowed", refusal)

    def _check_audit(self) -> None:
        if self._audit.closed:
            raise ActionProblem(
                "audit_unavailable",
                f"the audit cannot be written: {self._audit.closed}",
                self._audit.retry_after,
            )

    def _check_client(self, client: ClientInfo) -> None:
        if self._of_client[client] >= MOST_OF_A_CLIENT:
            raise ActionProblem(
                "too_many_actions",
                f"{MOST_OF_A_CLIENT} actions of this client are not done yet",
                RETRY_AFTER,
            )

    def _begin(
        self,
        request: ActionRequest,
        servers: tuple[int, ...],
        client: ClientInfo,
        owner: Owner,
        rights: Rights,
        late: Late,
    ) -> Run:
        at_work = self.at_work
        if at_work and at_work + len(servers) > MOST:
            raise ActionProblem(
                "too_many_actions",
                f"{at_work} actions of all clients are not done yet",
                RETRY_AFTER,
            )
        self._limits.begin(client)
        audited = self._audit.action(
            client, request.name, request.client_action(None).headers, servers
        )
        run = Run(
            request,
            servers,
            partial(self._ask, _Asker(client, rights, audited, late)),
            kept=request.idempotency_key is not None,
            on_end=partial(self._ended, owner, client),
            rights=rights,
            ref=audited.ref,
        )
        self._runs.add(run)
        self._kept.add(owner, run)
        return run

    def _ended(self, owner: Owner, client: ClientInfo, run: Run) -> None:
        self._limits.end(client)
        self._runs.discard(run)
        self._kept.ended(owner, run)

    def _done(self, client: ClientInfo) -> None:
        self._of_client[client] -= 1
        if not self._of_client[client]:
            del self._of_client[client]

    # -- in a greenlet for each server -------------------------------------------------

    def _ask(self, asker: _Asker, request: ActionRequest, server: int) -> Reply:
        audited = asker.audited
        try:
            reply = self._audited(asker, request, server)
        except BaseException as error:
            left = isinstance(error, gevent.GreenletExit)
            audited.result(server, LEFT if left else UNKNOWN, "" if left else repr(error))
            raise
        audited.result(server, reply.outcome, reply.reason)
        if request.name.lower() == "originate":
            reply = self._with_call(request, reply, asker.rights)
        self.outcomes[reply.outcome] += 1
        if not self._is_current(asker):  # nothing is shown by rights of before
            return reply.without_answer(CHANGED) if reply.outcome != UNREACHABLE else reply
        return reply

    def _is_current(self, asker: _Asker) -> bool:
        return self._rights_of(asker.client.identity) == asker.rights

    def _audited(self, asker: _Asker, request: ActionRequest, server: int) -> Reply:
        """Once the action is in the audit, what the server answers."""
        why = asker.audited.wait()
        if not self._is_current(asker):  # plugins and the audit may have taken seconds
            return failed(request, server, UNREACHABLE, CHANGED)
        if not why:
            return self._answer(asker, request, server)
        reply = failed(request, server, UNREACHABLE, f"the audit cannot be written: {why}")
        return dataclasses.replace(reply, retry_after=self._audit.retry_after)

    def _answer(self, asker: _Asker, request: ActionRequest, server: int) -> Reply:
        client = name_of(asker.client)
        link = self._links.get(server)
        if link is None:
            reason = f"server {server} is no longer in the configuration"
            return failed(request, server, UNREACHABLE, reason)
        if late := asker.late():
            return failed(request, server, UNREACHABLE, late)
        sent = True
        try:
            _log.debug("action %s of %s goes to %s", request.name, client, link.host.name)
            answer = _answer_of(link, request)
            info = ServerInfo(link.host.id, link.host.name, link.host.ssl)
            return reply_of(request, server, answer, partial(self._shown, info), asker.rights)
        except (NotConnected, SendBufferFull) as error:
            sent = False
            text = "action %s of %s not sent to %s: %s"
            self._log_once(("server", server), text, request.name, client, link.host.name, error)
            reply = failed(request, server, UNREACHABLE, str(error))
            again = RETRY_AFTER if isinstance(error, SendBufferFull) else None
            return dataclasses.replace(reply, retry_after=again)
        finally:
            self.sent += sent

    def _with_call(self, request: ActionRequest, reply: Reply, rights: Rights) -> Reply:
        if reply.outcome in (REFUSED, UNREACHABLE):
            return reply
        uniqueid, channel = originated(request, reply)
        made = uniqueid if rights is Rights.everything else told_uniqueid(reply)
        call = None if made is None else self._call_of(reply.server, made)
        if rights is not Rights.everything:  # the channel is of the answer, which is limited
            uniqueid = None if uniqueid is None else rights.sight.hidden(uniqueid)
            call = None if call is None else rights.sight.key(call)
        return dataclasses.replace(
            reply, originated={"uniqueid": uniqueid, "channel": channel, "call": call}
        )

    # -- the log -----------------------------------------------------------------------

    def _count(self, client: ClientInfo, problem: ActionProblem) -> ActionProblem:
        """A request that is none counts as well; the problem that it has, or that it came."""
        try:
            self._limits.take(client)
        except ActionProblem as too_fast:
            return too_fast
        return problem

    def _refuse(
        self, client: ClientInfo, problem: ActionProblem, request: ActionRequest | None = None
    ) -> None:
        self.refused[problem.code] += 1
        self._audit.refused(
            client,
            problem.code,
            problem.message,
            name=None if request is None else request.name,
            headers=() if request is None else request.client_action(None).headers,
            servers=(request.servers if request is not None else None) or (),
            repeats=problem.code in limits.REPEATS,
        )
        name = name_of(client)
        self._log_once(("client", name), "action of %s refused: %s", name, problem)

    def _log_once(self, key: tuple[str, object], text: str, *arguments: object) -> None:
        """A line a minute for each client and each server."""
        self._limiter.log(_log, logging.INFO, key, text, *arguments)


def _answer_of(link: Asked, request: ActionRequest) -> Answer:
    """What the server has answered, or as much as came before the connection was lost."""
    try:
        return link.ask(request.headers, timeout=request.timeout, wait=request.wait)
    except AnswerLost as error:
        return error.answer


def owner_of(client: ClientInfo) -> Owner:
    """Whose an idempotency key is: the user's, without a login the address's."""
    if client.user is not None:
        return "user", client.user
    return "address", host_of(client.address)
