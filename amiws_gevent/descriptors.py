"""How many files and sockets the process may have open."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

_SPARE = 32  # for what is not a page: AMI connections that come back, files, name look-ups
_SPARE_SHARE = 4  # of the limit, one part in so many at most


def limit() -> int:
    """One more than the highest descriptor that the process may have (RLIMIT_NOFILE)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> tuple[int, int]:
    """Take as many descriptors as the system lets this process have; the limit before and now."""
    before = limit()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a hard limit above what the kernel can do
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return before, limit()


def limit_for_pages() -> int:
    """Where descriptors for pages end: the kernel gives the lowest free one, so that a
    connection from this number on means that there are few left for all else."""
    highest = limit()
    return highest - min(_SPARE, highest // _SPARE_SHARE)
