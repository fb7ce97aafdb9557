"""How much of a value a message may show."""

from __future__ import annotations

from amiws_gevent.scalars import SHOWN_LENGTH, Scalar, shown


def test_a_scalar_is_its_text() -> None:
    scalar = Scalar("5038")
    assert scalar == "5038"
    assert scalar.written == "5038"
    assert not scalar.replaced


def test_a_scalar_knows_that_it_was_replaced() -> None:
    assert Scalar("x", "${A}").replaced
    assert not Scalar("${A}", "${A}").replaced


def test_values_are_quoted_and_escaped() -> None:
    assert shown("a\nb\x1b[0m") == r"'a\nb\x1b[0m'"
    assert shown(7) == "'7'"


def test_long_values_are_shortened() -> None:
    text = shown("x" * 1000)
    assert len(text) == SHOWN_LENGTH + 2
    assert text.endswith("…'")
    assert shown("x" * SHOWN_LENGTH) == repr("x" * SHOWN_LENGTH)
    assert len(shown("x" * 1000, 120)) == 122


def test_lists_and_mappings_are_only_named() -> None:
    assert shown(["secret"]) == "a list"
    assert shown(frozenset({"secret"})) == "a list"
    assert shown({"secret": 1}) == "a mapping"


def test_what_the_environment_holds_is_not_shown() -> None:
    assert shown(Scalar("hunter2", "${PASSWORD}")) == "what '${PASSWORD}' stands for"
