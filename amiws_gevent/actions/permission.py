"""Whether the rights of a client allow an action, whichever way it comes."""

from __future__ import annotations

from collections.abc import Iterable

from amiws_gevent.actions.problems import ActionProblem
from amiws_gevent.policy import Rights

Pairs = tuple[tuple[str, str], ...]


def taken_back(rights: Rights, headers: Pairs) -> Pairs:
    """The headers of an action with real numbers where the client sees pseudonyms of them."""
    if rights is Rights.everything:
        return headers
    return tuple(rights.take_back(headers))


def check(rights: Rights, servers: Iterable[int], headers: Pairs) -> None:
    """Raise ActionProblem unless the action, with all its headers, may go to each server."""
    if rights is Rights.everything:
        return
    for server in servers:
        refusal = rights.may(server, headers)
        if refusal is not None:
            raise ActionProblem("not_allowed", str(refusal))
