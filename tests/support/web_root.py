"""The files of web_root, as the small servers of tests give them to a browser."""

from __future__ import annotations

import mimetypes

from websockets.datastructures import Headers
from websockets.http11 import Response

from tests.support.program import ROOT

WEB_ROOT = ROOT / "web_root"


def file_response(path: str) -> Response:
    """The answer to a request for ``path``."""
    file = WEB_ROOT / (path.partition("?")[0].lstrip("/") or "index.html")
    if not file.is_file():
        return response(404, b"no such file", "text/plain")
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return response(200, file.read_bytes(), kind)


def response(status: int, body: bytes, kind: str) -> Response:
    """One answer; the connection ends with it."""
    headers = Headers()
    headers["Content-Type"] = kind
    headers["Content-Length"] = str(len(body))
    headers["Cache-Control"] = "no-store"
    headers["Connection"] = "close"
    return Response(status, "", headers, body)
