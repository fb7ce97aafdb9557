"""Why a request is not done: codes for programs, with their HTTP status, and words for people.

The codes are part of the protocol: ``amiws.v2`` and the HTTP API give the same. A code keeps
its meaning; new ones may come.
"""

from __future__ import annotations

from collections.abc import Mapping

from amiws_gevent.errors import AmiwsError

PROBLEMS: Mapping[str, int] = {
    "bad_request": 400,  # not in the form that the protocol asks for
    "unknown_server": 404,
    "action_refused": 403,  # would end or change the session that all clients share
    "not_allowed": 403,  # a plugin says so
    "too_many_actions": 429,  # at work at once
    "actions_too_fast": 429,  # in the last seconds
    "audit_unavailable": 503,  # the audit cannot be written, and no action goes without it
    "idempotency_conflict": 422,  # the key was used for another request
}
"""By code, the HTTP status."""


class ActionProblem(AmiwsError):
    """A request that is not done: nothing was sent. ``str()`` is ``message``.

    ``message`` never holds a header's value (but the name of an action that is refused, and
    what a role does not allow where that only names something), so it may be logged.
    ``retry_after``: seconds after which the same request may succeed.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status."""
        return PROBLEMS[self.code]
