"""Files of ``web_root``: which path names which file, and how one is sent.

A file is sent only if every part of its path, as asked and as it really is, lies inside
the root and is not hidden, if it is a regular file, and if it is none of the program's
own (what the configuration names, and backups of it), which people do keep in the root.
Everything else is "not found", so that an answer tells nothing about what exists.
"""

from __future__ import annotations

import errno
import logging
import mimetypes
import os
import re
import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote
from wsgiref.types import WSGIEnvironment

import gevent
from werkzeug.exceptions import NotFound, ServiceUnavailable
from werkzeug.wrappers import Response

from amiws_gevent.web.private import PrivateFiles

_log = logging.getLogger("amiws_gevent.web.static")

INDEX = "index.html"
# One read of a disk between two turns of the AMI readers; larger ones gain little.
CHUNK = 64 * 1024

# Types that some versions of Python lack or have otherwise. MimeTypes() does not read the
# machine's /etc/mime.types.
_TYPES = {
    ".gz": "application/gzip",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".ogg": "audio/ogg",
    ".otf": "font/otf",
    ".tgz": "application/gzip",
    ".ttf": "font/ttf",
    ".wav": "audio/wav",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_OTHER_TYPES = mimetypes.MimeTypes().types_map[1]
_UNKNOWN_TYPE = "application/octet-stream"

# Errors that are answered like a missing file.
_NOT_THERE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM}
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_PASSWORD_FILE = re.compile(r"htdigest|htpasswd", re.IGNORECASE)
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


def content_type(name: str) -> str:
    """The ``Content-Type`` of a file by its name; text is UTF-8."""
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path
    kind = _TYPES.get(extension) or _OTHER_TYPES.get(extension) or _UNKNOWN_TYPE
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


class Found(NamedTuple):
    """An open file of the root; whoever has it closes it."""

    file: BinaryIO
    status: os.stat_result
    name: str


class StaticFiles:
    """The files of one root, but for ``private``: files, and folders with all in them."""

    def __init__(self, root: Path, private: Iterable[Path] = ()) -> None:
        self._root = root
        self._private = PrivateFiles(private)

    def open(self, path: str) -> Found:
        """Open what a URL path (unquoted, from its first ``/``) names.

        A path that ends with ``/`` names the folder's index.html. Raises NotFound, and
        ServiceUnavailable when the system cannot open files at all.
        """
        parts = _parts(path)
        if parts is None:
            raise NotFound
        if path.endswith("/"):
            parts.append(INDEX)
        try:
            root = Path(os.path.realpath(self._root, strict=True))
            real = self._real(root, parts)
            file = _open(real)
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise NotFound from None
            _log.warning("cannot open a file in web_root: %s", error)
            raise ServiceUnavailable from None
        status = os.fstat(file.fileno())
        # Checked again on the open file: the path may name another one by now.
        if not stat.S_ISREG(status.st_mode) or self._private.holds(real, status, root):
            file.close()
            raise NotFound
        return Found(file, status, parts[-1])

    def has_index(self, path: str) -> bool:
        """Whether the path names a folder with an index, so that ``path/`` is right."""
        try:
            self.open(path + "/").file.close()
        except NotFound:
            return False
        return True

    def _real(self, root: Path, parts: list[str]) -> Path:
        """Where the parts lead, links followed; NotFound or OSError if they may not."""
        real = Path(os.path.realpath(root.joinpath(*parts), strict=True))
        if not real.is_relative_to(root) or any(map(_hidden, real.relative_to(root).parts)):
            raise NotFound
        # Before it is opened: opening a device or a fifo can do things.
        if not stat.S_ISREG(real.stat().st_mode):
            raise NotFound
        return real


def _open(path: Path) -> BinaryIO:
    """Never waits, should a fifo have taken the file's place."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags), "rb")


def _parts(path: str) -> list[str] | None:
    """The parts of a URL path; None if one of them may not be asked for."""
    if not path.startswith("/") or _CONTROL.search(path):
        return None
    parts = path[1:].removesuffix("/").split("/") if path != "/" else []
    if any(map(_hidden, parts)):
        return None
    return parts


def _hidden(part: str) -> bool:
    """Empty, a dot file (also ``.`` and ``..``), a backup, ``__pycache__`` or a password file."""
    return (
        not part
        or part == "__pycache__"
        or part.startswith((".", "#"))
        or part.endswith("~")
        or _PASSWORD_FILE.search(part) is not None
    )


def file_response(found: Found, environ: WSGIEnvironment, encoding: str = "") -> Response:
    """Answer a GET or HEAD with a file: whole, a range of it, or 304.

    ``encoding`` is the content coding that the file is in. Takes the file over. Raises
    RequestedRangeNotSatisfiable (416).
    """
    size = found.status.st_size
    response = Response(content_type=content_type(found.name), direct_passthrough=True)
    response.content_length = size
    response.last_modified = datetime.fromtimestamp(int(found.status.st_mtime), UTC)
    tag = f"{found.status.st_mtime_ns:x}-{size:x}"
    if encoding:
        response.content_encoding = encoding
        tag += f"-{encoding}"
    response.set_etag(tag)
    response.cache_control.no_cache = True
    try:
        response.make_conditional(_with_usable_range(environ, size), True, size)
    except BaseException:
        found.file.close()
        raise
    part = response.content_range
    start, stop = (part.start or 0, part.stop or 0) if part.units else (0, size)
    response.response = FileBody(found.file, start, stop)
    return response


def _with_usable_range(environ: WSGIEnvironment, size: int) -> WSGIEnvironment:
    """Without a Range that is not one valid range of bytes, or more than the file.

    Such is ignored, never an error. RFC 9110, section 14.2: only for GET, and a server may
    ignore any.
    """
    match = _ONE_RANGE.fullmatch(environ.get("HTTP_RANGE", "").strip())
    if match and environ["REQUEST_METHOD"] == "GET":
        first, last, suffix = match.groups()
        if int(suffix) <= size if suffix else not last or int(first) <= int(last):
            return environ
    return {key: value for key, value in environ.items() if key != "HTTP_RANGE"}


class FileBody:
    """The bytes from ``start`` to ``stop`` of a file, in chunks; others have a turn in between.

    If the file grows meanwhile, no more is sent than was announced. If it shrinks, the
    connection is reset, so that the client knows that its copy is incomplete.
    """

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        self._file = file
        self._start = start
        self._stop = stop

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._start)
        left = self._stop - self._start
        while left > 0:
            chunk = self._file.read(min(CHUNK, left))
            if not chunk:
                _log.warning("a file in web_root was shortened while it was being sent")
                raise ConnectionResetError(errno.ECONNRESET, "the file was shortened")
            left -= len(chunk)
            yield chunk
            # A client that reads as fast as we send would keep everyone else waiting.
            gevent.sleep(0)

    def close(self) -> None:
        self._file.close()


def redirect_to_folder(path: str, query: str) -> Response:
    """Add the slash that relative links in the folder's index need. ``path`` is unquoted."""
    location = quote(path) + "/" + (f"?{query}" if query else "")
    response = Response(status=301, content_type="text/plain; charset=utf-8")
    response.location = location
    response.data = "Moved: see Location.\n"
    return response
