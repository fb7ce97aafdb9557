"""Whether the rights of a client allow an action, whichever way it comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from amiws_gevent.access import seen, who
from amiws_gevent.actions.problems import ActionProblem
from amiws_gevent.policy import Rights

Pairs = tuple[tuple[str, str], ...]

Target = TypeVar("Target")


def taken_back(rights: Rights, headers: Pairs) -> Pairs:
    """The headers of an action with real numbers where the client sees pseudonyms of them."""
    if rights is Rights.everything:
        return headers
    return tuple(rights.take_back(headers))


def reachable(rights: Rights, targets: Mapping[int, Target]) -> Mapping[int, Target]:
    """The servers (by id) that a client knows of; raises ActionProblem where roles show none."""
    found = seen(rights, targets)
    if targets and not found:
        raise ActionProblem("not_allowed", f"{who(rights)} an action: you see no server")
    return found


def check(rights: Rights, servers: Iterable[int], headers: Pairs) -> None:
    """Raise ActionProblem unless the action, with all its headers, may go to each server."""
    if rights is Rights.everything:
        return
    for server in servers:
        refusal = rights.may(server, headers)
        if refusal is not None:
            raise ActionProblem("not_allowed", str(refusal))
