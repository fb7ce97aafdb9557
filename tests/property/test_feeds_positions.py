"""Whatever positions there are: what was made is understood, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from amiws_gevent.batch import Position
from amiws_gevent.feeds import positions as module
from amiws_gevent.feeds.positions import LONGEST, Place, Positions

servers = st.integers(0, 2**31 - 1)
epochs = st.text(min_size=1, max_size=20)
offsets = st.integers(0, 2**63 - 1) | st.integers(0, 300)
vectors = st.dictionaries(servers, st.builds(Position, epochs, offsets), max_size=8)
filters = st.binary(max_size=40)


@given(events=vectors, state=vectors, wanted=st.sets(servers, max_size=8), key=filters)
def test_a_text_says_what_it_was_made_of(
    events: dict[int, Position], state: dict[int, Position], wanted: set[int], key: bytes
) -> None:
    positions = Positions()
    chosen = {*events, *state} - wanted
    text = positions.encode(chosen, events, state, key)
    assert len(text) <= LONGEST
    expected = Place(
        {one: at for one, at in events.items() if one in chosen},
        {one: at for one, at in state.items() if one in chosen},
        True,
    )
    assert positions.decode(text, key) == expected
    assert positions.decode(text, key + b"x") == expected._replace(same_filters=False)
    assert positions.encode(sorted(chosen, reverse=True), events, state, key) == text
    assert Positions().decode(text, key) is None, "of another process"


@given(events=vectors, state=vectors, data=st.data())
def test_a_damaged_text_is_unknown_or_says_something_else(
    events: dict[int, Position], state: dict[int, Position], data: st.DataObject
) -> None:
    positions = Positions()
    text = positions.encode({*events, *state}, events, state)
    place = positions.decode(text)
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    damaged = text[:begin] + data.draw(st.text(max_size=6)) + text[end:]
    found = positions.decode(damaged)
    assert damaged == text or found is None or found != place


@given(text=st.text(max_size=60) | st.text("AQaz09_-=", max_size=60))
@example("A" * (LONGEST + 1))
@example("\ud800")
def test_garbage_is_unknown(text: str) -> None:
    positions = Positions()
    positions.encode([1], {1: Position("e", 1)}, {})
    assert positions.decode(text) is None


@given(used=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), max_size=60))
def test_the_layouts_used_last_are_remembered(used: list[tuple[int, int]]) -> None:
    """Servers come, go and begin anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_LAYOUTS", 3)
        positions = Positions()
        last: dict[int, tuple[str, Place]] = {}  # by layout, the one used last comes last
        for offset, number in used:
            events = {server: Position(f"e{number}", offset) for server in range(number)}
            text = positions.encode(events, events, {})
            last.pop(number, None)
            last[number] = text, Place(events, {}, True)
            for place, (known, said) in enumerate(reversed(last.values())):
                assert positions.decode(known) == (said if place < 3 else None)
