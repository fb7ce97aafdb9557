"""One grant of what is seen, and its masks."""

from __future__ import annotations

import pytest

from amiws_gevent.policy.model import See
from amiws_gevent.policy.pseudonyms import Pseudonyms
from amiws_gevent.policy.scope import (
    ALL,
    MASKED,
    NONE,
    WHOLE,
    Level,
    Masks,
    Scope,
    ids_of,
    scope_of,
)
from amiws_gevent.policy.shown import Shown

PSEUDONYMS = Pseudonyms(b"k" * 32)


def scope(attributes: dict[str, list[str]] | None = None, **see: object) -> Scope | None:
    return scope_of(See.model_validate(see), attributes or {}, None)


def made(**see: object) -> Scope:
    found = scope(**see)
    assert found is not None
    return found


def test_all_of_it() -> None:
    everything = made()
    assert everything.is_whole
    assert everything.covers(7)
    assert not everything.is_limited


@pytest.mark.parametrize(
    "see",
    [
        {"numbers": "masked"},
        {"names": "none"},
        {"queues": "a"},
        {"kinds": "call"},
        {"events": "Dial"},
    ],
)
def test_less_than_all(see: dict[str, str]) -> None:
    assert not made(**see).is_whole
    assert made(**see).is_limited == ("queues" in see)


def test_equal_scopes() -> None:
    one = scope({"queues": ["b", "a"]}, queues="{user.queues}", events=["Dial", "hangup"])
    other = scope({"queues": ["a", "b"]}, queues=["b", "a"], events=["HANGUP", "dial"])
    assert one == other
    assert hash(one) == hash(other)
    assert one is not None
    assert other is not None
    assert one.order == other.order


def test_a_scope_of_nothing() -> None:
    assert scope({"queues": []}, queues="{user.queues}") is None


def test_servers() -> None:
    of_two = scope_of(See(), {}, frozenset({1, 2}))
    assert of_two is not None
    assert [of_two.covers(server) for server in (1, 3)] == [True, False]


def masks(level: Level) -> dict[Shown, object]:
    found = Masks(level, ids_of(level, PSEUDONYMS))
    values = {
        Shown.PLAIN: "7",
        Shown.ID: "Local/0301234567@out",
        Shown.NUMBER: "0301234567",
        Shown.EXTEN: "0301234567",
        Shown.NAME: "Alice",
        Shown.BOTH: '"Alice" <0301234567>',
    }
    return {
        what: value if (mask := found.of[what]) is None else mask(value)
        for what, value in values.items()
    }


def test_masked() -> None:
    found = masks((MASKED, MASKED))
    assert found.pop(Shown.ID) == PSEUDONYMS.within("Local/0301234567@out")
    assert found == {
        Shown.PLAIN: "7",
        Shown.NUMBER: "******4567",
        Shown.EXTEN: "******4567",
        Shown.NAME: "***",
        Shown.BOTH: '"***" <******4567>',
    }


def test_none() -> None:
    found = masks((NONE, NONE))
    assert found[Shown.NUMBER] is found[Shown.NAME] is found[Shown.EXTEN] is None
    assert found[Shown.BOTH] == '"" <>'


def test_whole() -> None:
    assert masks(ALL)[Shown.BOTH] == '"Alice" <0301234567>'
    assert masks(ALL)[Shown.ID] == "Local/0301234567@out"
    assert not Masks(ALL, None).hides_unknown


def test_a_number_for_a_name() -> None:
    """Who has no name is often shown by the number: it is masked, though names are whole."""
    mask = Masks((MASKED, WHOLE), None).of[Shown.NAME]
    assert mask is not None
    assert mask("0301234567") == "******4567"
    assert mask("Alice") == "Alice"
    assert Masks((WHOLE, MASKED), None).of[Shown.NUMBER] is None


def test_extensions_stay_where_they_are_dialled() -> None:
    for level in (MASKED, NONE):
        mask = Masks((level, WHOLE), None).of[Shown.EXTEN]
        assert mask is not None
        assert mask("204") == "204"


@pytest.mark.parametrize("text", ["<unknown>", "anonymous", ""])
def test_what_says_nothing_stays(text: str) -> None:
    found = Masks((MASKED, MASKED), None)
    for what in (Shown.NUMBER, Shown.NAME, Shown.BOTH):
        mask = found.of[what]
        assert mask is not None
        assert mask(text) == text


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ((WHOLE, MASKED), "***"),
        ((WHOLE, NONE), None),
        ((MASKED, WHOLE), "********ller"),  # it may be what he is called by
        ((NONE, WHOLE), None),
        ((MASKED, MASKED), "***"),
    ],
)
def test_a_caller_without_a_number(level: Level, shown: str | None) -> None:
    """Asterisk writes the name alone then (``main/callerid.c``, ast_callerid_merge)."""
    mask = Masks(level, ids_of(level, PSEUDONYMS)).of[Shown.BOTH]
    assert mask is not None
    assert mask("Alice Miller") == shown
    number = Masks(level, None).of[Shown.NUMBER]
    assert mask("+49 30 1234567") == (number("+49 30 1234567") if number else "+49 30 1234567")
    assert mask("<unknown>") == "<unknown>"
