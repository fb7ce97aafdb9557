"""Settings for unit tests, made without a file."""

from __future__ import annotations

from typing import Any

from amiws_gevent.config import AmiHost


def ami_host(**values: Any) -> AmiHost:
    """An ``amihosts`` entry with what a test does not care about filled in."""
    defaults = {"id": 1, "name": "pbx", "host": "127.0.0.1", "username": "u", "secret": "s"}
    return AmiHost(**{**defaults, **values})
