"""The program with workers, of which one that hangs is known soon: after two questions, not six."""

from __future__ import annotations

from amiws_gevent.__main__ import main as program
from amiws_gevent.workers import keeper

PING_TIME = 3.0  # seconds: an edge that is slow for that long is handed no connections
HANG_PINGS = 2


def main() -> int:
    """Be that program; its exit status."""
    defaults = keeper.Keeper.__init__.__kwdefaults__
    assert defaults is not None
    assert "ping_time" in defaults
    defaults["ping_time"] = PING_TIME
    keeper.HANG_PINGS = HANG_PINGS
    return program()
