"""The PBXs of ``--demo``: two on loopback ports, of an old and a new Asterisk.

pbxs = demo.start()
... pbxs.hosts: connect to them ...
pbxs.stop()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from amiws_gevent.simulator.pbx.server import SimulatedPbx

HOST: Final = "127.0.0.1"
USER: Final = "demo"
SECRET: Final = "demo"  # noqa: S105 - it guards nothing but a simulation


class DemoPbxs:
    """PBXs that run. ``hosts`` has an entry for each, as ``amihosts`` of the configuration has."""

    def __init__(self, pbxs: Sequence[SimulatedPbx]) -> None:
        self._pbxs = pbxs
        self.hosts: list[dict[str, str | int]] = [
            {
                "id": number,
                "name": pbx.name,
                "host": HOST,
                "port": pbx.port,
                "username": USER,
                "secret": SECRET,
            }
            for number, pbx in enumerate(pbxs, 1)
        ]

    def stop(self) -> None:
        """Closes them; a second time is nothing."""
        for pbx in self._pbxs:
            pbx.stop()


def start() -> DemoPbxs:
    """Starts them on free ports. Raises OSError if there is none, with nothing left open."""
    pbxs = [
        SimulatedPbx(
            style="13", name="pbx-berlin (Asterisk 13)", seed=13, username=USER, secret=SECRET
        ),
        SimulatedPbx(
            style="22", name="pbx-lisbon (Asterisk 22)", seed=22, username=USER, secret=SECRET
        ),
    ]
    try:
        for pbx in pbxs:
            pbx.start()
    except OSError:
        for pbx in pbxs:
            pbx.stop()
        raise
    return DemoPbxs(pbxs)
