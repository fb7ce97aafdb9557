"""Fuzz what a role may do for some minutes: ``python -m soak.actions --minutes 10 --seed 1``.

It prints each action that gets past the role with what it would do, and ends with 1 if there is
one.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random

from tests.support.policy_fuzz import action, hole, rights

_TURN = 1000  # actions between two looks at the clock


def main() -> int:
    """Fuzz until the time is over; the exit status says whether anything got past."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=float, default=10.0)
    words.add_argument("--seed", type=int, default=None)
    options = words.parse_args()
    seed = Random().randrange(2**32) if options.seed is None else options.seed
    random, caller = Random(seed), rights()
    end = time.monotonic() + options.minutes * 60
    tried = allowed = 0
    found = set()
    while time.monotonic() < end:
        for _ in range(_TURN):
            pairs = action(random)
            tried += 1
            if caller.may(1, pairs) is not None:
                continue
            allowed += 1
            effect = hole(pairs, lambda _pairs: True)
            if effect is not None and effect not in found:
                found.add(effect)
                print(f"got past: {effect}\n  {pairs}", flush=True)
    print(f"seed {seed}: {tried} actions, {allowed} allowed, {len(found)} got past")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
