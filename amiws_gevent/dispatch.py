"""Sends the actions of classic clients to servers; answers with an error if that fails.

An action is parsed (``ami.actions`` refuses what must not reach a server), addressed to one
server or all, and passed to the links. If it cannot be sent, that client alone gets a
message with ``"Response": "Error"``. What the servers answer is for all clients.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from amiws_gevent.access import CHANGED, RightsOf, everything, who
from amiws_gevent.actions import ActionProblem, permission
from amiws_gevent.actions.limits import REPEATS, ActionLimits
from amiws_gevent.actions.service import Late, never_late
from amiws_gevent.ami import (
    OWN_ACTION_ID,
    ActionError,
    ClientAction,
    Kind,
    Message,
    encode_action,
    encode_message,
    envelope_prefix,
    error_response,
    holding_time,
    parse_client_action,
)
from amiws_gevent.ami.actions import SessionActionError
from amiws_gevent.audit.awaited import Awaited
from amiws_gevent.audit.trail import NOT_SENT, SENT, Audited, Trail
from amiws_gevent.config import AmiHost
from amiws_gevent.errors import NotConnected, SendBufferFull
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.policy import Rights
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.peers import name_of

_log = logging.getLogger("amiws_gevent.actions")

# For errors that concern no server: these come from amiws-gevent itself. The ids of servers
# are 1 or more unless the configuration says otherwise.
OWN_PREFIX = envelope_prefix(Kind.RESPONSE, 0, "amiws-gevent", False)


Answer = Callable[[bytes], None]


class ActionTarget(Protocol):
    """What dispatching needs of a link."""

    @property
    def host(self) -> AmiHost: ...

    def send(self, data: bytes, *, holding: float = 0.0) -> None:
        """Queue one encoded action; raises NotConnected or SendBufferFull.

        ``holding``: seconds for which it may block the server.
        """


class Dispatcher:
    """Sends clients' actions to the servers of ``targets`` (by server id)."""

    def __init__(
        self,
        targets: Mapping[int, ActionTarget],
        limiter: LogLimiter | None = None,
        *,
        rights_of: RightsOf = everything,
        audit: Trail | None = None,
        limits: ActionLimits | None = None,
    ) -> None:
        self.targets = targets
        self.sent = 0
        self.refused = 0
        self._limiter = limiter or LogLimiter()
        self._rights_of = rights_of
        self._audit = audit or Trail()
        self._awaited = Awaited()
        self._limits = ActionLimits() if limits is None else limits

    def dispatch(
        self,
        text: str,
        *,
        client: ClientInfo,
        authorize: Callable[[ClientAction], str | None] = lambda _action: None,
        answer: Answer,
        server: int | None = None,
        late: Late = never_late,
    ) -> None:
        """Send one action; ``answer`` gets the JSON of each error to answer that client with.

        It may be called at once or later, from another greenlet. It must not block, and must
        accept that the client has left. With an audit this waits until the action is in it.
        The client's rights say whether it may be sent, then ``authorize``: why not, or None.
        With ``server`` it is sent to that one alone; ``late`` is asked just before.
        """
        given, action_id = _parsed(text)
        if server is not None and isinstance(given, ClientAction):
            given = dataclasses.replace(given, server_id=server)
        rights = self._rights_of(client.identity)
        if isinstance(given, ClientAction):
            headers = permission.taken_back(rights, given.headers)
            if headers is not given.headers:
                given = dataclasses.replace(given, headers=headers)
        try:
            self._limits.take(client)  # also for what is no action
            if isinstance(given, ActionProblem):
                raise given
            servers = self._servers_of(given, rights)
            permission.check(rights, servers, given.headers)
            self._check(given, authorize)
        except ActionProblem as problem:
            name = name_of(client)
            self._refuse(("client", name), "action of %s refused: %s", name, problem)
            answer(encode_message(OWN_PREFIX, error_response(str(problem), action_id)))
            self._record_refusal(client, given, problem)
            return
        self._go(Permitted(text, given, servers, client, rights, late), answer)

    def _go(self, permitted: Permitted, answer: Answer) -> None:
        """Send what may be sent."""
        given, servers, client = permitted.action, permitted.servers, permitted.client
        audited = self._audit.action(client, given.name, given.headers, servers)
        why_not = audited.wait()
        if why_not:
            why_not = f"the audit cannot be written: {why_not}"
        elif self._rights_of(client.identity) != permitted.rights:  # the audit may take seconds
            why_not = CHANGED
        else:
            why_not = permitted.late()
        sending = _Sending(given, client, answer, audited, why_not)
        for server in servers:
            self._send(sending, server)

    def _check(self, action: ClientAction, authorize: Callable[[ClientAction], str | None]) -> None:
        """Raise ActionProblem for an action that may not be sent."""
        refusal = authorize(action)
        if refusal is not None:
            raise ActionProblem("not_allowed", refusal)
        if self._audit.closed:
            why = f"the audit cannot be written: {self._audit.closed}"
            raise ActionProblem("audit_unavailable", why)

    def _servers_of(self, action: ClientAction, rights: Rights) -> Sequence[int]:
        """Those that it goes to: of all, those whose answers this socket shows the client."""
        targets = permission.reachable(rights, self.targets)
        if action.server_id is None:
            if rights is Rights.everything:
                return list(targets)
            servers = list(filter(rights.sight.classic, targets))
            if not servers:
                raise ActionProblem("not_allowed", f"{who(rights)} the classic socket")
            return servers
        if action.server_id not in targets:
            known = ", ".join(map(str, targets))
            raise ActionProblem(
                "unknown_server",
                f"AMIServerID {action.server_id}: no such server (there are: {known})",
            )
        if rights is not Rights.everything and not rights.sight.classic(action.server_id):
            raise ActionProblem(
                "not_allowed",
                f"{who(rights)} the classic socket for server {action.server_id}; use amiws.v2",
            )
        return [action.server_id]

    def _send(self, sending: _Sending, server: int) -> None:
        action, client, answer, audited, why_not = sending
        target = self.targets.get(server)
        if target is None:  # a reload has removed it while the audit was written
            why = f"server {server} is no longer in the configuration"
            answer(encode_message(OWN_PREFIX, error_response(why, action.action_id)))
            audited.result(server, NOT_SENT, why)
            return
        host, name = target.host, name_of(client)
        try:
            if why_not:
                raise NotConnected(why_not)
            target.send(encode_action(action.headers), holding=holding_time(action.headers))
        except (NotConnected, SendBufferFull) as error:
            text = "action %s of %s not sent to %s: %s"
            self._refuse(("server", host.id), text, action.name, name, host.name, error)
            prefix = envelope_prefix(Kind.RESPONSE, host.id, host.name, host.ssl)
            answer(encode_message(prefix, error_response(str(error), action.action_id)))
            audited.result(server, NOT_SENT, str(error))
        else:
            self.sent += 1
            _log.debug("action %s of %s sent to %s", action.name, name, host.name)
            audited.result(server, SENT)
            if audited.recorded and action.action_id:
                self._awaited.add(server, action.action_id, audited)

    def heard(self, server: int, messages: Sequence[Message]) -> None:
        """Take what a server has said, for the audit: it may answer an action."""
        self._awaited.heard(server, messages)

    def _record_refusal(
        self, client: ClientInfo, given: ClientAction | ActionProblem, problem: ActionProblem
    ) -> None:
        action = given if isinstance(given, ClientAction) else None
        self._audit.refused(
            client,
            problem.code,
            problem.message,
            name=action.name if action else None,
            headers=action.headers if action else (),
            servers=() if action is None or action.server_id is None else (action.server_id,),
            repeats=problem.code in REPEATS,
        )

    def _refuse(self, key: tuple[str, object], text: str, *arguments: object) -> None:
        """Count it, and log it with a line a minute for each client and each server.

        A client may send as many wrong actions as it likes, and one HTML page sends several
        to each server that is not connected.
        """
        self.refused += 1
        self._limiter.log(_log, logging.INFO, key, text, *arguments)


class Permitted(NamedTuple):
    """An action that may be sent."""

    text: str
    """As it came."""
    action: ClientAction
    servers: Sequence[int]
    client: ClientInfo
    rights: Rights
    late: Late


class _Sending(NamedTuple):
    """An action on its way to its servers."""

    action: ClientAction
    client: ClientInfo
    answer: Answer
    audited: Audited
    why_not: str
    """Why it may not be sent after all; empty: it may."""


def _parsed(text: str) -> tuple[ClientAction | ActionProblem, str | None]:
    """The action that a text is, or why it is none that may be sent; and its ActionID."""
    try:
        action = parse_client_action(text)
        _check_action_ids(action)
    except SessionActionError as error:
        return ActionProblem("action_refused", error.message), error.action_id
    except ActionError as error:
        return ActionProblem("bad_request", error.message), error.action_id
    return action, action.action_id


def _check_action_ids(action: ClientAction) -> None:
    """Raise ActionError for an ActionID that looks like one of ours: nobody saw the answer."""
    if any(action_id.startswith(OWN_ACTION_ID) for action_id in action.action_ids):
        raise ActionError(
            f'the "ActionID" begins with "{OWN_ACTION_ID}", which only amiws-gevent may use;'
            " choose another",
            action_id=action.action_id,
        )
