"""The modules of the bus that need the libraries redis and hiredis, which may not be installed."""

from __future__ import annotations

import importlib
from types import ModuleType

from amiws_gevent.errors import MissingLibraryError


def needing_redis(name: str) -> ModuleType:
    """A module of `amiws_gevent.bus`; imported only now. Raises MissingLibraryError."""
    try:
        return importlib.import_module(f"amiws_gevent.bus.{name}")
    except ModuleNotFoundError as error:
        if error.name not in ("redis", "hiredis"):
            raise
        raise MissingLibraryError(
            f"a collector and an edge need the library {error.name}: install amiws-gevent[redis]"
        ) from None
