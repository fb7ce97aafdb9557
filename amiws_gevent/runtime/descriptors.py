"""The three standard streams, and how many files and sockets the process may have open."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

_SPARE = 32  # for all but clients: AMI connections that are made again, files, name look-ups
_SPARE_SHARE = 4  # of the limit, one part in so many at most


def open_standard_streams() -> None:
    """Open /dev/null on each standard descriptor that is closed (``2>&-``).

    Otherwise the next file or socket would get its number, and be written to as if it
    were standard error; and Python has None for such a stream, which nothing expects.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given: this one, since those below it are open.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


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


def limit_for_clients() -> int:
    """The first descriptor that no client gets. The kernel gives the lowest free number, so
    a connection with this one means that few are left for all else."""
    highest = limit()
    return highest - min(_SPARE, highest // _SPARE_SHARE)
