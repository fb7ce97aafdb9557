"""What a client asks for: from the members of a JSON object to a checked request.

    {"server": 1, "action": {"Action": "QueueStatus"}, "timeout": 10}

The checks of what must not reach a server are those of `ami.actions`, for all clients alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amiws_gevent.actions.problems import ActionProblem
from amiws_gevent.ami import ActionError, ClientAction, encode_action, holding_time
from amiws_gevent.ami.actions import LONGEST_ACTION_ID, SessionActionError, client_action
from amiws_gevent.ami.lists import list_form

# Seconds
DEFAULT_TIMEOUT = 10.0
MOST_TIMEOUT = 60.0
MOST_WAIT = 300.0  # for what became of an Originate
AFTER_RINGING = 5.0  # for the events of a call that nobody answered in its time

MOST_KEY = 255  # characters of an idempotency key


@dataclass(frozen=True)
class ActionRequest:
    """An action for servers, checked: it can be sent. Equal requests ask for the same."""

    servers: tuple[int, ...] | None
    """Each once, in the client's order; None: all."""
    name: str
    """Of the action."""
    headers: tuple[tuple[str, str], ...]
    """What is sent, but for the ActionID; an Originate has ``Async: true``."""
    action_id: str | None
    """The client's own. It is given back, and not sent."""
    timeout: float
    """Seconds that the servers have for the whole answer."""
    wait: bool
    """Whether the answer to an Originate includes what became of it."""
    idempotency_key: str | None
    written: tuple[tuple[str, str], ...] | None = None
    """The headers as the client wrote them, where these have pseudonyms and ``headers`` numbers.
    So a number never asks for the same as its pseudonym: the same key would tell that it is it."""

    def client_action(self, server: int | None) -> ClientAction:
        """The action as hooks of plugins get it, for one server or (None) all."""
        own = () if self.action_id is None else (("ActionID", self.action_id),)
        return ClientAction(self.name, server, self.action_id, (*self.headers, *own))

    def header(self, folded: str) -> str | None:
        """The first value of a header that is sent, by its name in small letters."""
        return next((value for name, value in self.headers if name.lower() == folded), None)


def parse_request(given: Mapping[str, Any]) -> ActionRequest:
    """The request that a decoded JSON object is; other members of it are passed over.

    ``server`` is an id, a list of ids, or "all"; ``action`` an object with the headers:
    values are strings, numbers, booleans, or lists of these for headers that repeat.
    ``timeout`` (seconds), ``wait`` and ``idempotency_key`` may be left out. Raises
    ActionProblem.
    """
    action = _action(given.get("action"))
    headers = tuple(pair for pair in action.headers if pair[0].lower() != "actionid")
    wait = _wait(given.get("wait"), action.name)
    timeout = _timeout(given.get("timeout"), wait, headers)
    if action.name.lower() == "originate":  # else it blocks the session of all clients
        kept = (pair for pair in headers if pair[0].lower() != "async")
        headers = (*kept, ("Async", "true"))
    try:
        encode_action((*headers, ("ActionID", "x" * LONGEST_ACTION_ID)))
    except ActionError as error:  # one header too many
        raise ActionProblem("bad_request", error.message) from None
    return ActionRequest(
        servers=_servers(given.get("server")),
        name=action.name,
        headers=headers,
        action_id=action.action_id,
        timeout=timeout,
        wait=wait,
        idempotency_key=_key(given.get("idempotency_key")),
    )


def _action(value: object) -> ClientAction:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ActionProblem(
            "bad_request", '"action" must be an object, such as {"Action": "QueueStatus"}'
        )
    if any(name.lower() == "amiserverid" and one is not None for name, one in value.items()):
        raise ActionProblem(
            "bad_request", 'the action has an "AMIServerID"; name servers in "server"'
        )
    try:
        return client_action(value.items())
    except SessionActionError as error:
        raise ActionProblem("action_refused", error.message) from None
    except ActionError as error:
        raise ActionProblem("bad_request", error.message) from None


def _servers(value: object) -> tuple[int, ...] | None:
    if value == "all":
        return None
    listed = value if isinstance(value, list | tuple) else [value]
    ids = [_server(one) for one in listed]
    if not ids:
        raise ActionProblem("bad_request", '"server" is an empty list; name at least one server')
    return tuple(dict.fromkeys(ids))


def _server(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    raise ActionProblem(
        "bad_request", '"server" must be the id of a server, such as 1, a list of ids, or "all"'
    )


def _wait(value: object, action: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ActionProblem("bad_request", '"wait" must be true or false')
    if value and not list_form(action).later:
        raise ActionProblem("bad_request", '"wait" is for Originate alone')
    return value


def _timeout(value: object, wait: bool, headers: tuple[tuple[str, str], ...]) -> float:
    most = MOST_WAIT if wait else MOST_TIMEOUT
    if value is None:
        return min(most, _ringing(headers) + AFTER_RINGING) if wait else DEFAULT_TIMEOUT
    # written so that a NaN is refused as well
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
        raise ActionProblem(
            "bad_request",
            f'"timeout" must be a number of seconds, more than 0 and at most {most:g}',
        )
    return float(value)


def _ringing(headers: tuple[tuple[str, str], ...]) -> float:
    """Seconds that an Originate tries; `math.inf` without a limit."""
    return holding_time(pair for pair in headers if pair[0].lower() != "async")


def _key(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MOST_KEY:
        raise ActionProblem(
            "bad_request", f'"idempotency_key" must be a string of 1 to {MOST_KEY} characters'
        )
    return value
