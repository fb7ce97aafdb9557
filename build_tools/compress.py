"""Compresses the files of the dashboard once, when a wheel is built: ``x.js.br``, ``x.js.gz``.

Without what only people read, which is much of what a page would load; ``x.js`` itself stays as it
is. amiws_gevent/web/dashboard.py serves them.
"""

from __future__ import annotations

import gzip
from pathlib import Path

REQUIRES = ("brotli", "rcssmin")  # what a build needs for it

_TEXT = {".css", ".html", ".js", ".json", ".svg", ".txt"}
# What fits into the first packet is not faster with less.
_LEAST = 1024
# With less gain, the time to unpack is not worth it.
_MOST_LEFT = 0.9


def compress_tree(folder: Path, terse: Path) -> None:
    """Write compressed files beside those in ``folder`` that are worth it.

    ``terse`` has the scripts as `bundle` minifies them, by the same names.
    """
    import brotli  # no other part of a build needs it

    for path in sorted(folder.rglob("*")):
        if path.suffix not in _TEXT or path.stat().st_size < _LEAST:
            continue
        content = tersely(path, terse / path.relative_to(folder))
        # Without a time, so that equal sources give equal wheels.
        for ending, packed in (
            (".br", brotli.compress(content, quality=11)),
            (".gz", gzip.compress(content, compresslevel=9, mtime=0)),
        ):
            if len(packed) < _MOST_LEFT * len(content):
                path.with_name(path.name + ending).write_bytes(packed)


def tersely(path: Path, terse: Path) -> bytes:
    """The content of a file: a style without comments and indentation, or that of ``terse``.

    Those of vendor/ are as they are.
    """
    import rcssmin

    if terse.is_file():
        return terse.read_bytes()
    content = path.read_bytes()
    is_ours = path.suffix == ".css" and "vendor" not in path.parts
    return bytes(rcssmin.cssmin(content)) if is_ours else content
