"""The program with leases of few seconds, so that tests need not wait for long ones."""

from __future__ import annotations

import amiws_gevent.__main__
from amiws_gevent.bus.redis_bus import RedisCollector

LEASE_TIME = 4.0  # seconds


def main() -> int:
    """Be that program; its exit status."""
    defaults = RedisCollector.__init__.__kwdefaults__
    assert defaults is not None
    assert "lease_time" in defaults
    defaults["lease_time"] = LEASE_TIME
    return amiws_gevent.__main__.main()
