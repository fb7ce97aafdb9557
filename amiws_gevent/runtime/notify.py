"""Notifies systemd (the protocol of sd_notify(3)) and recognises its journal."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

# systemd reads its socket at once; should it not, the service goes on without it.
SEND_TIME = 1.0  # seconds

_log = logging.getLogger("amiws_gevent.notify")


def notify(
    *assignments: str,
    environ: Mapping[str, str] = os.environ,
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> bool:
    """Send ``READY=1``, ``RELOADING=1``, ``STOPPING=1``, ``WATCHDOG=1`` or ``STATUS=text`` to
    systemd.

    Returns whether it was sent: False where no one asked for it
    (``NOTIFY_SOCKET`` is not set) and where the socket does not take it. Never
    raises OSError. ``RELOADING=1`` gets the time stamp that sd_notify(3) asks
    for beside it.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):  # others, such as vsock:, are for virtual machines
        return False
    lines = [assignment.replace("\n", " ") for assignment in assignments]
    if "RELOADING=1" in lines:
        lines.append(f"MONOTONIC_USEC={clock_ns() // 1000}")
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(SEND_TIME)
            sender.sendto("\n".join(lines).encode(), address)
    except OSError as error:
        _log.warning("cannot notify systemd of %s: %s", ", ".join(lines), error)
        return False
    return True


def watchdog_time(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which systemd wants to hear ``WATCHDOG=1`` (WatchdogSec=, sd_watchdog_enabled
    (3)); None: it does not."""
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or pid not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 or None


def is_journal(descriptor: int, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to a descriptor goes to the journal (systemd.exec(5)).

    What goes to syslog does so as well, with its facility and level.
    """
    status = os.fstat(descriptor)
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
