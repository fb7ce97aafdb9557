"""Whatever is asked of the program for a role that may call two contexts, servers get no more.

For minutes instead of a count: ``make soak-actions``.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.support.program import Program
from tests.support.program_fuzz import FuzzSite

TURNS, ACTIONS = 8, 200


def test_nothing_gets_past_a_role_by_any_way_in(tmp_path: Path) -> None:
    site = FuzzSite(tmp_path)
    first, second = site.servers
    with first, second:
        with Program(tmp_path, site.text()) as program:
            site.start(program)
            random = Random(1)
            for _ in range(TURNS):
                site.turn(random, ACTIONS)
            site.close()
        for pbx in site.pbxs:
            pbx.finish()
    assert site.outside == []
    for way, sent in site.sent.items():
        assert site.arrived[way] > sent / 20, f"or nothing was tried by {way}"
