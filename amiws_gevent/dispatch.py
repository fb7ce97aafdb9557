"""Sends the actions of classic clients to servers; answers with an error if that fails.

An action is parsed (``ami.actions`` refuses what must not reach a server), addressed to one
server or all, and passed to the links. If it cannot be sent, that client alone gets a
message with ``"Response": "Error"``. What the servers answer is for all clients.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from amiws_gevent.ami import (
    OWN_ACTION_ID,
    ActionError,
    ClientAction,
    Kind,
    encode_action,
    encode_message,
    envelope_prefix,
    error_response,
    holding_time,
    parse_client_action,
)
from amiws_gevent.config import AmiHost
from amiws_gevent.errors import NotConnected, SendBufferFull
from amiws_gevent.runtime.log import LogLimiter

_log = logging.getLogger("amiws_gevent.actions")

# For errors that concern no server: these come from amiws-gevent itself. The ids of servers
# are 1 or more unless the configuration says otherwise.
OWN_PREFIX = envelope_prefix(Kind.RESPONSE, 0, "amiws-gevent", False)


class ActionTarget(Protocol):
    """What dispatching needs of a link."""

    host: AmiHost

    def send(self, data: bytes, *, holding: float = 0.0) -> None:
        """Queue one encoded action; raises NotConnected or SendBufferFull.

        ``holding``: seconds for which it may block the server.
        """


class Dispatcher:
    """Sends clients' actions to the servers of ``targets`` (by server id)."""

    def __init__(
        self, targets: Mapping[int, ActionTarget], limiter: LogLimiter | None = None
    ) -> None:
        self.targets = targets
        self.sent = 0
        self.refused = 0
        self._limiter = limiter or LogLimiter()

    def dispatch(
        self,
        text: str,
        *,
        client: str,
        authorize: Callable[[ClientAction], str | None] = lambda _action: None,
        answer: Callable[[bytes], None],
    ) -> None:
        """Send one action; ``answer`` gets the JSON of each error to answer that client with.

        It may be called at once or later, from another greenlet. It must not block, and must
        accept that the client has left.

        ``client`` names the client in the log (address and user). ``authorize`` says why
        an action may not be sent, None if it may.
        """
        try:
            action = parse_client_action(text)
            _check_action_ids(action)
            data = encode_action(action.headers)
            targets = self._targets_of(action)
            refusal = authorize(action)
            if refusal is not None:
                raise ActionError(refusal, action_id=action.action_id)
        except ActionError as error:
            self._refuse(("client", client), "action of %s refused: %s", client, error)
            answer(encode_message(OWN_PREFIX, error_response(str(error), error.action_id)))
            return
        self._send(action, data, targets, client, answer)

    def _targets_of(self, action: ClientAction) -> Iterable[ActionTarget]:
        if action.server_id is None:
            return list(self.targets.values())
        target = self.targets.get(action.server_id)
        if target is None:
            known = ", ".join(map(str, self.targets))
            raise ActionError(
                f"AMIServerID {action.server_id}: no such server (there are: {known})",
                action_id=action.action_id,
            )
        return [target]

    def _send(
        self,
        action: ClientAction,
        data: bytes,
        targets: Iterable[ActionTarget],
        client: str,
        answer: Callable[[bytes], None],
    ) -> None:
        for target in targets:
            host = target.host
            try:
                target.send(data, holding=holding_time(action.headers))
            except (NotConnected, SendBufferFull) as error:
                text = "action %s of %s not sent to %s: %s"
                self._refuse(("server", host.id), text, action.name, client, host.name, error)
                prefix = envelope_prefix(Kind.RESPONSE, host.id, host.name, host.ssl)
                answer(encode_message(prefix, error_response(str(error), action.action_id)))
            else:
                self.sent += 1
                _log.debug("action %s of %s sent to %s", action.name, client, host.name)

    def _refuse(self, key: tuple[str, object], text: str, *arguments: object) -> None:
        """Count it, and log it with a line a minute for each client and each server.

        A client may send as many wrong actions as it likes, and one HTML page sends several
        to each server that is not connected.
        """
        self.refused += 1
        self._limiter.log(_log, logging.INFO, key, text, *arguments)


def _check_action_ids(action: ClientAction) -> None:
    """Raise ActionError for an ActionID that looks like one of ours: nobody saw the answer."""
    if any(action_id.startswith(OWN_ACTION_ID) for action_id in action.action_ids):
        raise ActionError(
            f'the "ActionID" begins with "{OWN_ACTION_ID}", which only amiws-gevent may use;'
            " choose another",
            action_id=action.action_id,
        )
