"""What can be asked: one table, of which the routes, the document and the page are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from amiws_gevent.api.models import (
    ActionBody,
    AuditList,
    AuditQuery,
    EntityList,
    EntityQuery,
    EventQuery,
    LoggedOut,
    Me,
    NoQuery,
    Nothing,
    Replies,
    StateQuery,
)
from amiws_gevent.feeds.filters import ATTRIBUTES

PREFIX = "/api/v1"

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

KEY_HEADER = "Idempotency-Key"

_FILTERS = "Filters are joined by and, values of one by or."
_RESUME = (
    "Each event has the `op` of `amiws.v2` as its type and that message as its data. A position "
    "is its `id`, once for what came together. With `Last-Event-ID` the stream goes on there; what "
    "it cannot go on with is told by `gap`"
)


@dataclass(frozen=True)
class Operation:
    """A path with its one method. Whatever it can fail with besides what all can: ``codes``."""

    id: str
    method: str
    path: str
    """Below PREFIX, as OpenAPI has it."""
    summary: str
    description: str
    media: str
    answer: type[BaseModel] | None = None
    """Of JSON; None: told in words."""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Of requests, with what they mean."""
    etag: bool = False
    codes: tuple[str, ...] = ()
    example: Any = None
    """Of the body."""

    @property
    def rule(self) -> str:
        """The path as Flask has it."""
        return self.path.replace("{", "<").replace("}", ">")


_IF_NONE_MATCH = {
    "If-None-Match": "The `ETag` of an answer that the client has: 304 without a body if nothing "
    "has changed."
}
_LAST_EVENT_ID = {"Last-Event-ID": "The `id` of the last event that the client has."}

OPERATIONS = (
    Operation(
        "me",
        "GET",
        "/me",
        "Who asks, and what it may see and do",
        "The user, how it logged in, its roles, and what these let it see and do. A page hides "
        "what would be refused.",
        JSON,
        Me,
        query=NoQuery,
        codes=("bad_request", "not_allowed"),
    ),
    Operation(
        "servers",
        "GET",
        "/servers",
        "The servers",
        "All servers as entities of kind `server`: whether they are connected, whether their state "
        "is live, and what the AMI user may not ask, with the line for manager.conf that would "
        "allow it. They are entities of server 0, which is amiws-gevent itself.",
        JSON,
        EntityList,
        headers=_IF_NONE_MATCH,
        etag=True,
        codes=("not_allowed",),
    ),
    Operation(
        "entities",
        "GET",
        "/state/{kind}",
        "Entities of one kind",
        f"Kinds: {', '.join(f'`{kind}`' for kind in ATTRIBUTES)}. {_FILTERS} The list is made "
        "with the first answer, also if it comes in several. `next` is good for a minute.",
        JSON,
        EntityList,
        query=EntityQuery,
        headers=_IF_NONE_MATCH,
        etag=True,
        codes=(
            "bad_request",
            "bad_filter",
            "not_allowed",
            "unknown_kind",
            "state_off",
            "state_withheld",
            "bad_cursor",
        ),
    ),
    Operation(
        "state",
        "GET",
        "/state",
        "The state, and each change of it, as Server-Sent Events",
        f"First `subscribed` and `snapshot`, then `state` for each change. {_RESUME} and a new "
        f"`snapshot`. {_FILTERS}",
        EVENT_STREAM,
        query=StateQuery,
        headers=_LAST_EVENT_ID,
        codes=(
            "bad_request",
            "bad_filter",
            "not_allowed",
            "state_off",
            "state_withheld",
            "unavailable",
        ),
    ),
    Operation(
        "events",
        "GET",
        "/events",
        "Events of the servers, as Server-Sent Events",
        "First `subscribed`, then `event` for each message. Events of server 0 are those of "
        f"plugins. {_RESUME}. {_FILTERS}",
        EVENT_STREAM,
        query=EventQuery,
        headers=_LAST_EVENT_ID,
        codes=("bad_request", "bad_filter", "not_allowed", "unavailable"),
    ),
    Operation(
        "actions",
        "POST",
        "/actions",
        "Send an action",
        "Sends an AMI action to one server, to several, or to all, and gives what each replied, "
        "lists whole. The answer is there when the last has replied, or its `timeout` is over. It "
        "is 200 whatever the servers said: see `outcome` of each reply.",
        JSON,
        Replies,
        body=ActionBody,
        headers={
            KEY_HEADER: "For 10 minutes the same user gets the first replies again for the "
            "same key, and nothing is sent twice. Counts instead of `idempotency_key`."
        },
        codes=(
            "bad_json",
            "bad_request",
            "action_refused",
            "not_allowed",
            "unknown_server",
            "request_timeout",
            "length_required",
            "too_large",
            "unsupported_media_type",
            "idempotency_conflict",
            "too_many_actions",
            "actions_too_fast",
            "audit_unavailable",
        ),
        example={"server": 1, "action": {"Action": "QueueStatus", "Queue": "support"}},
    ),
    Operation(
        "logout",
        "POST",
        "/logout",
        "Log out",
        "Ends the session of this browser: its cookie and its nonces are refused from now on, so "
        "that the browser asks for the password again, and its WebSockets (close code 4410) and "
        "streams end. A login with the name that a reverse proxy gives ends at the proxy alone: "
        "send the browser to `logout_url`. A token has no session.",
        JSON,
        LoggedOut,
        body=Nothing,
        codes=(
            "bad_json",
            "bad_request",
            "request_timeout",
            "length_required",
            "too_large",
            "unsupported_media_type",
        ),
        example={},
    ),
    Operation(
        "audit",
        "GET",
        "/audit",
        "The last records of the audit trail",
        "Who did what: actions, allowed or refused, and what came of them; logins; reloads. The "
        "newest come first. The files have all; here are the last since the start, 1,000 at most. "
        "docs/audit.md says what the records mean.",
        JSON,
        AuditList,
        query=AuditQuery,
        codes=("bad_request", "not_allowed", "audit_off", "audit_unavailable"),
    ),
    Operation(
        "openapi",
        "GET",
        "/openapi.json",
        "This document",
        "The API as an OpenAPI 3.1 document.",
        JSON,
    ),
    Operation(
        "reference",
        "GET",
        "/",
        "This page",
        "The same document for people.",
        "text/html",
    ),
)
