"""The PBXs of ``--demo``: three on loopback ports, of Asterisk 13, 22 and 11.

pbxs = demo.start(demo.Wishes())
... pbxs.hosts: connect to them ...
pbxs.stop()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx.repertoire import MIXED, Programme, only
from amiws_gevent.simulator.pbx.scenarios import SCENARIOS
from amiws_gevent.simulator.pbx.server import SimulatedPbx
from amiws_gevent.simulator.pbx.style import StyleName

HOST: Final = "127.0.0.1"
USER: Final = "demo"
SECRET: Final = "demo"  # noqa: S105 - it guards nothing but a simulation


@dataclass(frozen=True)
class Wishes:
    """What the PBXs are to play; ``rate`` is new calls a minute on each of them.

    The same ``seed`` gives the same sequence of calls. ``scenarios`` are names: these and nothing
    else; without any, all scenarios among everyday's calls.
    """

    seed: int = 1
    rate: float = 30.0
    scenarios: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.programme()

    def programme(self) -> Programme:
        return only(self.scenarios) if self.scenarios else MIXED


def listed() -> Iterator[str]:
    """A line for each scenario: its name, and what a person would tell of it."""
    width = max(map(len, SCENARIOS))
    for scenario in SCENARIOS.values():
        yield f"{scenario.name:{width}}  {scenario.told}"


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
                "country": country,
            }
            for number, (pbx, (_, _, country)) in enumerate(zip(pbxs, _PBXS, strict=True), 1)
        ]

    def stop(self) -> None:
        """Closes them; a second time is nothing."""
        for pbx in self._pbxs:
            pbx.stop()


_PBXS: Final[tuple[tuple[StyleName, str, str], ...]] = (
    ("13", "pbx-berlin (Asterisk 13)", "DE"),
    ("22", "pbx-lisbon (Asterisk 22)", "PT"),
    ("11", "pbx-lyon (Asterisk 11)", "FR"),
)
"""Each with its country."""


def start(wishes: Wishes) -> DemoPbxs:
    """Starts them on free ports. Raises OSError if there is none, with nothing left open."""
    pbxs = [
        SimulatedPbx(
            style=style,
            name=name,
            seed=wishes.seed,
            rate=wishes.rate / 60,
            programme=wishes.programme(),
            username=USER,
            secret=SECRET,
        )
        for style, name, _ in _PBXS
    ]
    try:
        for pbx in pbxs:
            pbx.start()
    except OSError:
        for pbx in pbxs:
            pbx.stop()
        raise
    return DemoPbxs(pbxs)
