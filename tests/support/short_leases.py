"""The program with leases of few seconds, so that tests need not wait for long ones."""

from __future__ import annotations

# Not the package itself: as long as this module has it, the interpreter's end finds the log's
# handlers after the oldest gevent's greenlets have gone.
from amiws_gevent.__main__ import main as program
from amiws_gevent.bus.redis_bus import RedisCollector

LEASE_TIME = 4.0  # seconds


def main() -> int:
    """Be that program; its exit status."""
    defaults = RedisCollector.__init__.__kwdefaults__
    assert defaults is not None
    assert "lease_time" in defaults
    defaults["lease_time"] = LEASE_TIME
    return program()
