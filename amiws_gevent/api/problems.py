"""What a request may be answered in place of what it asks for: codes, statuses, words."""

from __future__ import annotations

import math
from collections.abc import Mapping

import flask

from amiws_gevent.errors import AmiwsError
from amiws_gevent.v2.codes import CODES as SHARED
from amiws_gevent.v2.codes import CodeInfo
from amiws_gevent.web.problem import PROBLEM_TYPE, problem_bytes

_OF_SUBSCRIPTIONS = (
    "unknown_op",
    "too_many_subscriptions",
    "too_many_requests",
    "unknown_subscription",
)
_OWN = {
    "unauthorized": CodeInfo(401, "The login or the token is missing or wrong."),
    "forbidden": CodeInfo(
        403, "Another web site asks (`Origin`, `Sec-Fetch-Site`), or by a foreign name (`Host`)."
    ),
    "not_found": CodeInfo(404, "There is no such path."),
    "unknown_kind": CodeInfo(404, "There is no such kind of entity."),
    "method_not_allowed": CodeInfo(405, "The path is not for this method; `Allow` has those."),
    "request_timeout": CodeInfo(408, "The request was not whole in time."),
    "audit_off": CodeInfo(409, "There is no audit trail (`audit` of the configuration)."),
    "bad_cursor": CodeInfo(
        410,
        "`next` is not of this kind and these filters, or of a list that is forgotten: begin "
        "without it.",
    ),
    "length_required": CodeInfo(411, "A body needs a `Content-Length`."),
    "too_large": CodeInfo(413, "The body is longer than `limits.client_message`."),
    "uri_too_long": CodeInfo(414, "The request line is too long."),
    "unsupported_media_type": CodeInfo(415, "A body must be `application/json`, in UTF-8."),
    "too_many_logins": CodeInfo(429, "Too many wrong logins came from this address."),
    "headers_too_large": CodeInfo(431, "The headers are longer than `limits.header_size`."),
    "unavailable": CodeInfo(503, "amiws-gevent is stopping, or has too many connections."),
    "http_version": CodeInfo(505, "The request is of another version than HTTP/1.0 or 1.1."),
}

CODES: Mapping[str, CodeInfo] = {
    **{code: info for code, info in SHARED.items() if code not in _OF_SUBSCRIPTIONS},
    **_OWN,
}


class Problem(AmiwsError):
    """A request that is not done; ``str()`` is for who asked."""

    def __init__(self, code: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.retry_after = retry_after

    def response(self) -> flask.Response:
        """The answer."""
        status = CODES[self.code].status
        more = {} if self.retry_after is None else {"retry_after": self.retry_after}
        response = flask.Response(
            problem_bytes(status, str(self), self.code, **more),
            status,
            content_type=PROBLEM_TYPE,
        )
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        response.headers["Cache-Control"] = "no-store"
        return response
