"""What collectors are asked, as bytes: by edges, and by each other.

    ACTION    an ActionRequest of a client, for one server, and the digest of its rights; answered
              with TAKEN, or with a problem; then with its Reply
    CLASSIC   the text of an action of the classic socket, for one server; answered with messages
              for who sent it
    TELL      for the audit: a login, a logout, an action that the edge refused, who reads
              it or may not; answered empty
    AUDIT     the last records of a collector's audit; answered with those, and which one it is
    ASK       an action of a plugin; answered with an Answer, or with an AskError
    PUBLISH   an event of a plugin; answered empty
    REPORT    what a collector knows of its servers; answered with what all have in common

It is all of one version of the program: streams say which (`codec.FORMAT`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from amiws_gevent.actions import ActionProblem, ActionRequest, Reply
from amiws_gevent.ami import Kind, Message
from amiws_gevent.feeds.encoding import to_json
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.plugins.facilities import Answer

ACTION, CLASSIC, TELL, AUDIT = "action", "classic", "tell", "audit"
ASK, PUBLISH, REPORT = "ask", "publish", "report"

LOGIN, LOGOUT, REFUSED = "login", "logout", "refused"
READ, READ_REFUSED = "read", "refused read"
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


def message_members(message: Message | None) -> list[Any] | None:
    """A message as JSON."""
    return None if message is None else [message.kind, list(map(list, message.headers))]


def message_of(members: Sequence[Any] | None) -> Message | None:
    """The message again."""
    return None if members is None else Message(Kind(members[0]), members[1])


def answer_members(answer: Answer) -> dict[str, Any]:
    """What a plugin is answered, as JSON."""
    return {
        **_members(answer),
        "response": message_members(answer.response),
        "items": list(map(message_members, answer.items)),
        "end": message_members(answer.end),
    }


def answer_of(members: Mapping[str, Any]) -> Answer:
    """The answer again."""
    given = {
        **members,
        "response": message_of(members["response"]),
        "items": tuple(map(message_of, members["items"])),
        "end": message_of(members["end"]),
        "output": tuple(members["output"]),
    }
    return Answer(**given)


def _members(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
