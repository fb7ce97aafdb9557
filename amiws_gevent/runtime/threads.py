"""Work that may take long in a thread, while other greenlets go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import gevent

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
