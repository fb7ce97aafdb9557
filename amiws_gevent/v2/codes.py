"""The codes of errors: what a program may rely on, in ``amiws.v2`` and in the HTTP API.

A code never changes its meaning and is never used for another; texts may change at any time.
"""

from __future__ import annotations

from typing import NamedTuple

from amiws_gevent.errors import AmiwsError


class CodeInfo(NamedTuple):
    """What a code says, and the status that the HTTP API gives it."""

    status: int
    meaning: str


CODES: dict[str, CodeInfo] = {
    "bad_json": CodeInfo(
        400,
        "The message is not one JSON object, has a member twice, or is nested too deeply.",
    ),
    "bad_request": CodeInfo(
        400,
        "A member is missing or has a value that it cannot have. Of an action also: "
        "no name, a line break in a header, a line over 1,024 bytes, over 128 headers.",
    ),
    "unknown_op": CodeInfo(400, "There is no such `op`."),
    "bad_filter": CodeInfo(400, "A filter has an unknown name or a value that it cannot have."),
    "state_off": CodeInfo(
        409,
        "No state of servers is kept (`live_state: no`): there is none but that of the kind "
        "`server`.",
    ),
    "too_many_subscriptions": CodeInfo(
        429, "The client has as many subscriptions as it may have (`limits.subscriptions`)."
    ),
    "too_many_requests": CodeInfo(
        429, "The client begins more subscriptions than it may (20 at once, then 4 a second)."
    ),
    "unknown_subscription": CodeInfo(404, "The client has no such subscription."),
    "state_withheld": CodeInfo(
        403,
        "No client may have the live state: a plugin that has to hide something in messages does "
        "not know how to hide it in the state.",
    ),
    "unknown_server": CodeInfo(404, "There is no server with that id."),
    "action_refused": CodeInfo(
        403, "The action would end or change the AMI session that all clients share."
    ),
    "not_allowed": CodeInfo(403, "This client may not do that, as a plugin or its rights say."),
    "too_many_actions": CodeInfo(
        429,
        "As many actions of the client are at work as may be (`limits.actions`), or of its user or "
        "address (`limits.actions_at_work` of the configuration).",
    ),
    "actions_too_fast": CodeInfo(
        429,
        "The user or the address sends more actions than it may (`limits.actions_per_second` of "
        "the configuration).",
    ),
    "audit_unavailable": CodeInfo(
        503,
        "The audit trail cannot be written, and no action is sent without it (`audit.on_failure`).",
    ),
    "idempotency_conflict": CodeInfo(
        422, "The `idempotency_key` was used before, for another request."
    ),
    "internal": CodeInfo(500, "A fault of amiws-gevent; its log has more."),
}


class RequestError(AmiwsError):
    """A request that is answered by an error; ``message`` is for people.

    ``retry_after``: seconds after which the same request may succeed; None if it will not.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
