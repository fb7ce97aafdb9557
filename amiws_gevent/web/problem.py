"""Errors under ``/api/``: problem documents (RFC 9457) with a ``code`` for programs.

Whatever refuses a request there answers in this form: the gate, the handler of the connection,
and Flask. Other paths get a line of text, for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

API_PREFIX = "/api/"

MONITORING_PATHS = frozenset({"/metrics", "/healthz", "/readyz"})
"""Not of the API; as all below it, they are answered by the program, whatever web_root has."""

PROBLEM_TYPE = "application/problem+json"

CODES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    411: "length_required",
    413: "too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    429: "too_many_logins",
    431: "headers_too_large",
    500: "internal",
    503: "unavailable",
    505: "http_version",
}
"""By status, the code of what is refused before the API itself has a word for it."""

_OTHER = "http_error"


def is_api(path: str) -> bool:
    """Whether a path, unquoted, belongs to the API.

    However many slashes it begins with, since Flask's routes pass over all but one of them
    (``//api/v1/actions`` sends actions).
    """
    return f"/{path.lstrip('/')}".startswith(API_PREFIX)


def problem_bytes(status: int, detail: str, code: str | None = None, **more: Any) -> bytes:
    """The document. ``type`` leads to what the reference page says of the code."""
    code = code or CODES.get(status, _OTHER)
    document = {
        "type": f"/api/v1/#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    return orjson.dumps(document)
