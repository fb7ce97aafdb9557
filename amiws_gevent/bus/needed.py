"""The modules of the bus that need the library redis, which may not be installed."""

from __future__ import annotations

import importlib
from types import ModuleType

from amiws_gevent.errors import MissingLibraryError


def needing_redis(name: str) -> ModuleType:
    """A module of `amiws_gevent.bus`; imported only now. Raises MissingLibraryError."""
    try:
        return importlib.import_module(f"amiws_gevent.bus.{name}")
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise MissingLibraryError(
            "a collector and an edge need the library redis: install amiws-gevent[redis]"
        ) from None
