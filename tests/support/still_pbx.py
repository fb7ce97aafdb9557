"""A simulated PBX in which no time passes: what a test begins there stays until the test ends it.

``python -m tests.support.still_pbx`` prints its port and runs until it is killed.
"""

from gevent import monkey

monkey.patch_all()

import time  # noqa: E402 - nothing may be imported before the patching

import gevent.event  # noqa: E402

from amiws_gevent.simulator.pbx.server import SimulatedPbx  # noqa: E402


def main() -> None:
    now = time.time()
    pbx = SimulatedPbx(
        style="22", name="still", username="amiws", secret="s3cret", rate=0, clock=lambda: now
    )
    pbx.start()
    print(pbx.port, flush=True)
    pbx.wait(gevent.event.Event())


if __name__ == "__main__":
    main()
