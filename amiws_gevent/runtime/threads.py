"""Work that may take long in a thread, while other greenlets go on; threads that do not end."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import gevent
from gevent.monkey import get_original

EXIT_TIME = 0.3
"""Seconds that threads have to end once all else of the program is over."""

_log = logging.getLogger("amiws_gevent.threads")

_Result = TypeVar("_Result")


def in_thread(function: Callable[[], _Result]) -> _Result:
    """Call ``function`` in a thread of gevent's pool, and wait; raises what it raises.

    What a thread lets out would be told as a fault of the program, whoever expects it. So it is
    caught there, and raised here.
    """

    results: list[_Result] = []
    errors: list[Exception] = []

    def call() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - for who waits
            errors.append(error)

    gevent.get_hub().threadpool.spawn(call).get()
    if errors:
        raise errors[0]
    return results[0]


def limit_exit(status: int) -> None:
    """End the process with ``status`` if threads keep it from its exit; returns at once.

    Python waits for all that are no daemons, and a plugin may have started one without end.
    """
    main = threading.main_thread()
    names = [each.name for each in threading.enumerate() if each is not main and not each.daemon]
    if names:
        get_original("_thread", "start_new_thread")(_end_process, (status, names))


def _end_process(status: int, names: list[str]) -> None:
    get_original("time", "sleep")(EXIT_TIME)
    with suppress(Exception):  # the end comes first
        _log.warning("threads still run, and are not waited for: %s", ", ".join(names))
        sys.stdout.flush()
    os._exit(status)
