"""Whatever is done to an action, a role that may call two contexts reaches nothing else.

For minutes instead of a count: ``python -m soak.actions --minutes 10``.
"""

from __future__ import annotations

import fnmatch
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.policy_fuzz import CALLER, USER, Pairs, action, hole, rights

RIGHTS = rights()
ACTIONS = 60_000


@pytest.mark.slow
def test_nothing_gets_past_a_role_that_may_call_two_contexts() -> None:
    random = Random(1)
    allowed = 0
    for _ in range(ACTIONS):
        pairs = action(random)
        if RIGHTS.may(1, pairs) is None:
            allowed += 1
            assert hole(pairs, lambda _pairs: True) is None, pairs
    assert allowed > ACTIONS / 10  # or nothing was tried


NAMES = st.sampled_from(
    ["Channel", "channel", "Context", "Exten", "Variable", "Priority", "Application", "Action"]
) | st.text(max_size=12)
VALUES = st.sampled_from(["PJSIP/204", "Local/204@internal", "internal", "205"]) | st.text(
    max_size=40
)


@settings(max_examples=1000)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), st.sampled_from(["Originate", "Redirect"]))
def test_any_headers_are_refused_or_meant(headers: list[tuple[str, str]], name: str) -> None:
    pairs = [("Action", name), *headers]
    refusal = RIGHTS.may(1, pairs)
    if refusal is None:
        assert hole(pairs, lambda _pairs: True) is None
    else:
        assert str(refusal).isprintable()


def naive(pairs: Pairs) -> bool:
    """What one may write at first: each header against the patterns, as they come."""
    given = {name.lower(): value.strip() for name, value in pairs}
    for rule in CALLER["do"]:
        headers = {  # type: ignore[union-attr]
            name.lower(): [patterns] if isinstance(patterns, str) else patterns
            for name, patterns in rule["with"].items()  # type: ignore[index]
        }
        if given.get("action", "").lower() != rule["action"].lower():  # type: ignore[index]
            continue
        free = {"action", "priority", "async", "timeout", "extrapriority"}
        return all(
            any(
                fnmatch.fnmatch(value, each.replace("{user.interface}", USER["interface"][0]))
                for each in headers.get(name, ())
            )
            for name, value in given.items()
            if name not in free
        )
    return False


def test_the_fuzzer_finds_what_a_naive_check_lets_past() -> None:
    random = Random(1)
    found = {effect for _ in range(3000) if (effect := hole(action(random), naive)) is not None}
    kinds = {effect[0] for effect in found}
    assert {"place", "variable", "channel", "queue"} <= kinds
