"""Compresses the files of the dashboard once, when a wheel is built: ``x.js.br``, ``x.js.gz``.

Without comments, which are much of what a page would load; ``x.js`` itself stays
as it is. amiws_gevent/web/dashboard.py serves them.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

REQUIRES = ("brotli", "rcssmin")  # what a build needs for it

_TEXT = {".css", ".html", ".js", ".json", ".svg", ".txt"}
# What fits into the first packet is not faster with less.
_LEAST = 1024
# Comments that have their lines to themselves. No more: what makes scripts smaller without reading
# them as a browser does takes blanks out of templates within templates, which then mean another
# thing. Compressed, indentation is next to nothing.
_COMMENT_LINES = re.compile(
    rb"^[ \t]*(?:/\*(?:(?!\*/).)*\*/|//[^\n]*)[ \t]*\n", re.MULTILINE | re.DOTALL
)

# With less gain, the time to unpack is not worth it.
_MOST_LEFT = 0.9


def compress_tree(folder: Path) -> None:
    """Write compressed files beside those in ``folder`` that are worth it."""
    import brotli  # no other part of a build needs it

    for path in sorted(folder.rglob("*")):
        if path.suffix not in _TEXT or path.stat().st_size < _LEAST:
            continue
        content = tersely(path)
        # Without a time, so that equal sources give equal wheels.
        for ending, packed in (
            (".br", brotli.compress(content, quality=11)),
            (".gz", gzip.compress(content, compresslevel=9, mtime=0)),
        ):
            if len(packed) < _MOST_LEFT * len(content):
                path.with_name(path.name + ending).write_bytes(packed)


def tersely(path: Path) -> bytes:
    """The content of a file: styles without comments and indentation, scripts without comments.

    Those of vendor/ are made by esbuild, with the comments that their licences ask for.
    """
    import rcssmin

    content = path.read_bytes()
    if "vendor" in path.parts:
        return content
    if path.suffix == ".js":
        return _COMMENT_LINES.sub(b"", content)
    return bytes(rcssmin.cssmin(content)) if path.suffix == ".css" else content
