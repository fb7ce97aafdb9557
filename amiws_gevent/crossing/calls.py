"""What an edge asks the collector, as bytes: actions of clients, and what the audit is told.

    ACTION    an ActionRequest of a client; answered with the servers that reply, or with a problem;
              then with a Reply of each server
    CLASSIC   the text of an action of the classic socket; answered with messages for who sent it
    TELL      for the audit: a login, a logout, an action that the edge refused; answered empty
    AUDIT     the last records of the audit; answered with what `audit.trail.Trail.last` gives

It is all of one version of the program: streams say which (`codec.FORMAT`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from amiws_gevent.actions import ActionProblem, ActionRequest, Reply
from amiws_gevent.feeds.encoding import to_json
from amiws_gevent.plugins.api import ClientInfo

ACTION, CLASSIC, TELL, AUDIT = "action", "classic", "tell", "audit"

LOGIN, LOGOUT, REFUSED = "login", "logout", "refused"
"""What the audit is told."""


def encode(**members: Any) -> bytes:
    """Members of a question or an answer."""
    return to_json(members)


def decode(data: bytes) -> dict[str, Any]:
    """The members again."""
    members: dict[str, Any] = orjson.loads(data)
    return members


def client_members(client: ClientInfo) -> list[Any]:
    """A client as JSON."""
    return [client.address, client.user, client.view, client.kind]


def client_of(members: Sequence[Any]) -> ClientInfo:
    """The client again."""
    return ClientInfo(*members)


def request_members(request: ActionRequest) -> dict[str, Any]:
    """A request as JSON."""
    return _members(request)


def request_of(members: Mapping[str, Any]) -> ActionRequest:
    """The request again, equal to what it was."""
    servers = members["servers"]
    given = {
        **members,
        "servers": None if servers is None else tuple(servers),
        "headers": tuple((name, value) for name, value in members["headers"]),
    }
    return ActionRequest(**given)


def reply_members(reply: Reply) -> dict[str, Any]:
    """A reply as JSON."""
    return _members(reply)


def reply_of(members: Mapping[str, Any]) -> Reply:
    """The reply again."""
    return Reply(**members)


def problem_members(problem: ActionProblem) -> list[Any]:
    """A problem as JSON."""
    return [problem.code, problem.message, problem.retry_after]


def problem_of(members: Sequence[Any]) -> ActionProblem:
    """The problem again."""
    return ActionProblem(*members)


def _members(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
