"""Positions: what is made is understood, and nothing else is."""

from __future__ import annotations

import pytest

from amiws_gevent.batch import Position
from amiws_gevent.feeds.positions import LONGEST, MOST_LAYOUTS, Place, Positions

EVENTS = {1: Position("e1", 300), 2: Position("e2", 0)}
STATE = {1: Position("e1", 2**40), 3: Position("s3", 5)}


def test_what_was_made_is_understood() -> None:
    positions = Positions()
    text = positions.encode([3, 1, 2], EVENTS, STATE, b"filters")
    assert positions.decode(text, b"filters") == Place(EVENTS, STATE, True)
    assert positions.decode(text, b"others") == Place(EVENTS, STATE, False)


def test_equal_positions_are_equal_texts_that_fit_into_an_address() -> None:
    positions = Positions()
    text = positions.encode([1, 2, 3], EVENTS, STATE)
    assert text == Positions().encode([3, 2, 1], EVENTS, STATE)
    assert text.isascii()
    assert set("+/=& ").isdisjoint(text)
    assert len(text) < 50


def test_it_names_only_the_servers_it_is_for() -> None:
    positions = Positions()
    text = positions.encode([1], EVENTS, STATE)
    assert positions.decode(text) == Place({1: EVENTS[1]}, {1: STATE[1]}, True)
    assert text == Positions().encode([1], {1: EVENTS[1]}, {1: STATE[1]})


def test_another_epoch_is_another_text_and_both_are_known() -> None:
    positions = Positions()
    before = positions.encode([1], {1: Position("a", 1)}, {})
    after = positions.encode([1], {1: Position("b", 1)}, {})
    assert before != after
    for text, epoch in ((before, "a"), (after, "b")):
        place = positions.decode(text)
        assert place is not None
        assert place.events[1].epoch == epoch


def test_of_another_process_nothing_is_known() -> None:
    text = Positions().encode([1], EVENTS, STATE)
    assert Positions().decode(text) is None


def test_a_bounded_number_of_layouts_is_remembered() -> None:
    positions = Positions()
    used = positions.encode([1], {1: Position("used", 1)}, {})
    unused = positions.encode([1], {1: Position("unused", 1)}, {})
    for number in range(MOST_LAYOUTS - 1):
        positions.encode([1], {1: Position(str(number), 1)}, {})
        positions.encode([1], {1: Position("used", 1)}, {})
    assert positions.decode(used) is not None
    assert positions.decode(unused) is None


@pytest.mark.parametrize(
    "text",
    ["", "A", "AA", "=", "AQ==", "Az" * 40, "é" * 20, "\ud800", "A" * (LONGEST + 1), "A A", "A\n"],
)
def test_hostile_text_is_unknown(text: str) -> None:
    positions = Positions()
    positions.encode([1], EVENTS, STATE)
    assert positions.decode(text) is None


def test_a_text_that_was_changed_is_unknown_or_another_position() -> None:
    positions = Positions()
    text = positions.encode([1, 2], EVENTS, STATE)
    for index in range(len(text)):
        for character in "AZz9-_":
            changed = text[:index] + character + text[index + 1 :]
            place = positions.decode(changed)
            assert place is None or changed == text or place != positions.decode(text)
    for end in range(len(text)):
        assert positions.decode(text[:end]) is None
    assert positions.decode(text + "AA") is None


def test_numbers_without_an_end_are_unknown() -> None:
    from base64 import urlsafe_b64decode, urlsafe_b64encode

    positions = Positions()
    text = positions.encode([1], {1: Position("a", 0)}, {1: Position("a", 0)})
    head = urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-2]
    for tail in (b"\xff" * 11 + b"\x01\x00", b"\x80\x80", b"\x00", b"\x00\x00\x00"):
        assert positions.decode(urlsafe_b64encode(head + tail).rstrip(b"=").decode()) is None
