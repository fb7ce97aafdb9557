"""Fuzz what a role may do for some minutes: ``python -m soak.actions --minutes 10 --seed 1``.

The actions go through the program, by the classic socket, ``amiws.v2`` and the HTTP API, to servers
that judge what arrives; beside that many more are asked of the policy alone. It prints each action
that gets past the role with what it would do, and ends with 1 if there is one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

from tests.support.policy_fuzz import action, hole, rights
from tests.support.program import Program
from tests.support.program_fuzz import FuzzSite

TURN = 200
"""Actions by each way in one turn; the policy alone is asked of ten times as many."""


class Soak:
    """One run; ``found`` is empty at its end if all was well."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.found: set[object] = set()
        self.asked = self.allowed = 0
        self._caller = rights()

    def run(self, folder: Path, seconds: float) -> FuzzSite:
        """Fuzz until the time is over."""
        site = FuzzSite(folder)
        first, second = site.servers
        with first, second:
            with Program(folder, site.text()) as program:
                site.start(program)
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    site.turn(self.random, TURN)
                    self._tell(site.outside)
                    self._ask_the_policy()
                site.close()
            for pbx in site.pbxs:
                pbx.finish()
        self._tell(site.outside)
        return site

    def _ask_the_policy(self) -> None:
        for _ in range(10 * TURN):
            pairs = action(self.random)
            self.asked += 1
            if self._caller.may(1, pairs) is None:
                self.allowed += 1
                effect = hole(pairs, lambda _pairs: True)
                if effect is not None:
                    self._tell([(effect, pairs)])

    def _tell(self, outside: Iterable[tuple[object, object]]) -> None:
        for effect, what in outside:
            if effect not in self.found:
                self.found.add(effect)
                print(f"got past: {effect}\n  {what!r}", flush=True)


def main() -> int:
    """Fuzz until the time is over; the exit status says whether anything got past."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=float, default=10.0)
    words.add_argument("--seed", type=int, default=None)
    options = words.parse_args()
    seed = Random().randrange(2**32) if options.seed is None else options.seed
    soak = Soak(seed)
    with tempfile.TemporaryDirectory(prefix="amiws-soak-") as folder:
        site = soak.run(Path(folder), options.minutes * 60)
    for way, sent in site.sent.items():
        print(f"{way}: {sent} actions, {site.arrived[way]} reached the server")
    print(f"the policy alone: {soak.asked} actions, {soak.allowed} allowed")
    print(f"seed {seed}: {len(soak.found)} got past")
    return 1 if soak.found else 0


if __name__ == "__main__":
    sys.exit(main())
