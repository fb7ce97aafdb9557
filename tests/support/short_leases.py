"""The program with leases of few seconds, so that tests need not wait for long ones."""

from __future__ import annotations

import sys

from gevent import monkey

monkey.patch_all()

from amiws_gevent.__main__ import main  # noqa: E402 - after the patch
from amiws_gevent.bus.redis_bus import RedisCollector  # noqa: E402

LEASE_TIME = 4.0  # seconds

if __name__ == "__main__":
    defaults = RedisCollector.__init__.__kwdefaults__
    assert defaults is not None
    assert "lease_time" in defaults
    defaults["lease_time"] = LEASE_TIME
    sys.exit(main())
