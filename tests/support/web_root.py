"""The files of web_root, as the small servers of tests give them to a browser.

Under the policy of the real program.
"""

from __future__ import annotations

import mimetypes

from websockets.datastructures import Headers
from websockets.http11 import Response

from amiws_gevent.web.dashboard import policy
from tests.support.program import ROOT

WEB_ROOT = ROOT / "web_root"


def file_response(path: str) -> Response:
    """The answer to a request for ``path``."""
    name = path.partition("?")[0].lstrip("/")
    file = WEB_ROOT / (name + "index.html" if name.endswith("/") or not name else name)
    if not file.is_file():
        return response(404, b"no such file", "text/plain")
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    found = response(200, file.read_bytes(), kind)
    found.headers["Content-Security-Policy"] = policy("")
    return found


def response(status: int, body: bytes, kind: str) -> Response:
    """One answer; the connection ends with it."""
    headers = Headers()
    headers["Content-Type"] = kind
    headers["Content-Length"] = str(len(body))
    headers["Cache-Control"] = "no-store"
    headers["Connection"] = "close"
    return Response(status, "", headers, body)
