"""How the pages that come with the program are sent: compressed, cached, under a strict policy.

All of it is for the folder of the dashboard alone. Pages in a ``web_root`` of somebody's own may
load and run whatever they did before; they only get a favicon if they have none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from amiws_gevent.resources import dashboard_root
from amiws_gevent.web.codings import quality
from amiws_gevent.web.origin import parse_authority
from amiws_gevent.web.static import INDEX, Found, StaticFiles, file_response

FAVICON = "/favicon.ico"  # what browsers ask for if a page names none

# Names below vendor/ that build_tools/bundle.py gives: other content has another name.
_LASTING = re.compile(r"/vendor/[a-z]+-[0-9A-Z]{8}[./].+")
_FOR_EVER = "max-age=31536000, immutable"

# The endings that build_tools/compress.py gives; the better one first.
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))

# Nothing from elsewhere, and no text becomes HTML or a script (Trusted Types).
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "media-src 'self'; manifest-src 'self'; connect-src {connect}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors {framed_by}; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_REFUSED = (
    "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "hid",
    "magnetometer", "microphone", "midi", "payment", "serial", "usb",
)  # fmt: skip
_HEADERS = {
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _REFUSED),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_dashboard(root: Path) -> bool:
    """Whether ``root`` is the folder that came with the program, by whatever name."""
    try:
        return root.samefile(dashboard_root())
    except OSError:  # either is not there
        return False


def dashboard_response(
    files: StaticFiles, path: str, environ: WSGIEnvironment, framed_by: Sequence[str] = ()
) -> Response:
    """Answer a GET or HEAD of a file of the dashboard; raises as ``files.open`` does.

    Sites of ``framed_by`` may have it in a frame, besides itself; "*": any.
    """
    found, encoding = _variant(files, path, environ)
    response = file_response(found, environ, encoding)
    response.vary.add("Accept-Encoding")
    response.headers.update(_HEADERS)
    response.headers["Content-Security-Policy"] = policy(environ.get("HTTP_HOST", ""), framed_by)
    # Browsers send the one only where they heed the other: over TLS (a proxy's too), and to
    # this machine. Elsewhere it would be an error in the console.
    if "HTTP_SEC_FETCH_SITE" in environ:
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if _LASTING.fullmatch(path):
        response.headers["Cache-Control"] = _FOR_EVER
    return response


def favicon_response(environ: WSGIEnvironment) -> Response:
    """Answer a GET or HEAD with the icon of the dashboard; NotFound if there is none."""
    try:
        files = StaticFiles(dashboard_root())
    except FileNotFoundError:
        raise NotFound from None
    return file_response(files.open(FAVICON), environ)


def policy(host: str, framed_by: Sequence[str] = ()) -> str:
    """The Content-Security-Policy for a page that was asked for with this ``Host``.

    Another site could lay the dashboard under a page of its own, and have a user click on what it
    likes. Sites that may act for a user (``allowed_origins``) may show him our pages too.

    The host's WebSockets are named: to Safari before 15.4, ``'self'`` means http(s) alone. An
    address of IPv6 is not: a policy cannot name one.
    """
    connect = "'self'"
    if host.isascii() and "[" not in host and parse_authority(host, "http") is not None:
        connect += f" ws://{host} wss://{host}"
    frames = "*" if "*" in framed_by else " ".join(["'self'", *framed_by])
    return _POLICY.format(connect=connect, framed_by=frames)


def _variant(files: StaticFiles, path: str, environ: WSGIEnvironment) -> tuple[Found, str]:
    """The file, or the smallest of its compressed ones that the client takes, and its coding.

    A range is always one of the file itself, whose ETag is another.
    """
    name = path + INDEX if path.endswith("/") else path
    if "HTTP_RANGE" not in environ:
        for encoding, ending in _accepted(environ.get("HTTP_ACCEPT_ENCODING", "")):
            with suppress(NotFound):
                found = files.open(name + ending)
                return found._replace(name=found.name.removesuffix(ending)), encoding
    return files.open(path), ""


def _accepted(header: str) -> list[tuple[str, str]]:
    """The codings that an ``Accept-Encoding`` allows, the best first."""
    found = [(quality(header, pair[0]), pair) for pair in _ENCODINGS]
    found.sort(key=lambda item: -item[0])
    return [pair for liked, pair in found if liked > 0]
