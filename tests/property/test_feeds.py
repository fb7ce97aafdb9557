"""Whatever clients subscribe to, however they read: in the end each has what a snapshot says.

And each event of its view once, in order, or told as a gap with the right number.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.feeds_game import Game, play

moves = st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=60, max_size=200)
"""Many: left to itself, Hypothesis makes lists of five on average, in which little happens."""


@settings(max_examples=150, deadline=None)
@given(moves=moves)
def test_in_the_end_each_client_has_what_there_is(moves: list[tuple[int, int, int]]) -> None:
    play(Game(), moves)
